package main

// go-ethereum's rpc.Client as it is. Commands run one after the other, so events of one command never mix with
// those of the next; only notifications and reverse calls come in between.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

// session is the one client and what hangs on it.
type session struct {
	client *rpc.Client
	subs   map[int]*rpc.ClientSubscription
}

func runClient(commands <-chan command) error {
	s := &session{subs: map[int]*rpc.ClientSubscription{}}
	emit("started", versions())
	for cmd := range commands {
		if cmd.Cmd == "quit" {
			break
		}
		if err := s.obey(cmd); err != nil {
			emit("bad-command", event{"error": err.Error()})
		}
	}
	if s.client != nil {
		s.client.Close()
	}
	return nil
}

func (s *session) obey(cmd command) error {
	ctx, cancel := context.WithTimeout(context.Background(), within(cmd))
	defer cancel()
	if s.client == nil && cmd.Cmd != "dial" {
		return errors.New("nothing dialed yet")
	}
	switch cmd.Cmd {
	case "dial":
		s.dial(ctx, cmd)
	case "call":
		start := time.Now()
		answer := answerOf(s.call(ctx, cmd.call))
		answer["ms"] = time.Since(start).Milliseconds()
		emit("answer", answer)
	case "batch":
		emit("batch", s.batch(ctx, cmd.Calls))
	case "notify":
		emit("notified", problem(s.client.Notify(ctx, cmd.Method, arguments(cmd.Params)...)))
	case "concurrent":
		emit("concurrent", s.concurrent(ctx, cmd.Method, cmd.Count))
	case "subscribe":
		s.subscribe(ctx, cmd)
	case "unsubscribe":
		return s.unsubscribe(cmd.Sub)
	case "register":
		emit("registered", problem(s.client.RegisterName(cmd.Namespace, reverse{})))
	case "close":
		s.client.Close()
		emit("closed", nil)
	default:
		return fmt.Errorf("a client has no command %q", cmd.Cmd)
	}
	return nil
}

func within(cmd command) time.Duration {
	if cmd.WithinMs == 0 {
		return patience
	}
	return time.Duration(cmd.WithinMs) * time.Millisecond
}

// dial replaces the client of before.
func (s *session) dial(ctx context.Context, cmd command) {
	client, err := dial(ctx, cmd.URL, cmd.Headers)
	if err == nil {
		if s.client != nil {
			s.client.Close()
		}
		s.client = client
	}
	emit("dialed", problem(err))
}

func (s *session) call(ctx context.Context, c call) (json.RawMessage, error) {
	var result json.RawMessage
	if err := s.client.CallContext(ctx, &result, c.Method, arguments(c.Params)...); err != nil {
		return nil, err
	}
	return through(c.As, result)
}

func (s *session) batch(ctx context.Context, calls []call) event {
	results := make([]json.RawMessage, len(calls))
	batch := make([]rpc.BatchElem, len(calls))
	for i, c := range calls {
		batch[i] = rpc.BatchElem{Method: c.Method, Args: arguments(c.Params), Result: &results[i]}
	}
	if err := s.client.BatchCallContext(ctx, batch); err != nil {
		return problem(err)
	}
	answers := make([]event, len(calls))
	for i := range batch {
		answers[i] = answerOf(results[i], batch[i].Error)
	}
	return event{"answers": answers}
}

// concurrent makes all calls at the same time, each with a number of its own that must come back.
func (s *session) concurrent(ctx context.Context, method string, count int) event {
	var (
		calls                sync.WaitGroup
		counting             sync.Mutex
		right, wrong, failed int
		firstFailure         any
		start                = time.Now()
	)
	for number := range count {
		calls.Go(func() {
			var back int
			err := s.client.CallContext(ctx, &back, method, number)
			counting.Lock()
			defer counting.Unlock()
			switch {
			case err != nil:
				failed++
				firstFailure = err.Error()
			case back != number:
				wrong++
			default:
				right++
			}
		})
	}
	calls.Wait()
	return event{
		"right": right, "wrong": wrong, "failed": failed, "failure": firstFailure,
		"ms": time.Since(start).Milliseconds(),
	}
}

// subscribe reports the number under which the subscription is known here; its id is go-ethereum's secret.
func (s *session) subscribe(ctx context.Context, cmd command) {
	notifications := make(chan json.RawMessage) // bound: 0; rpc.Client queues 20,000, then ends the subscription
	sub, err := s.client.Subscribe(ctx, cmd.Namespace, notifications, arguments(cmd.Params)...)
	if err != nil {
		emit("subscribed", problem(err))
		return
	}
	number := len(s.subs) + 1
	s.subs[number] = sub
	emit("subscribed", event{"sub": number})
	go printNotifications(number, sub, cmd.As, notifications)
}

func printNotifications(number int, sub *rpc.ClientSubscription, form string, notifications <-chan json.RawMessage) {
	for {
		select {
		case content := <-notifications:
			fields := answerOf(through(form, content))
			fields["sub"] = number
			emit("notification", fields)
		case err := <-sub.Err():
			fields := problem(err) // none after an unsubscribe
			fields["sub"] = number
			emit("ended", fields)
			return
		}
	}
}

func (s *session) unsubscribe(number int) error {
	sub, known := s.subs[number]
	if !known {
		return fmt.Errorf("no subscription %d", number)
	}
	sub.Unsubscribe()
	return nil
}

// arguments keeps the difference between no arguments and an empty list of them: rpc.Client sends it.
func arguments(params []json.RawMessage) []any {
	if params == nil {
		return nil
	}
	args := make([]any, len(params))
	for i, param := range params {
		args[i] = param
	}
	return args
}

// answerOf is what came of a call. 1.9.2 leaves the result alone when it is null.
func answerOf(result json.RawMessage, err error) event {
	if err != nil {
		return problem(err)
	}
	return event{"result": result}
}

// problem tells an error that the other side sent, with its code, from a failure on the way; nothing without either.
func problem(err error) event {
	var theirs rpc.Error
	switch {
	case err == nil:
		return event{}
	case errors.As(err, &theirs):
		return event{"error": event{"code": theirs.ErrorCode(), "message": theirs.Error(), "data": dataOf(theirs)}}
	}
	return event{"failure": err.Error()}
}

// dataOf gets at the data by the way of JSON, because 1.9.2 decodes it and then has no method for it.
func dataOf(err error) any {
	var members struct{ Data any }
	if text, failed := json.Marshal(err); failed == nil {
		_ = json.Unmarshal(text, &members) // no such member: no data
	}
	return members.Data
}

// reverse is what the client offers to the server. The harness sees each call that arrives.
type reverse struct{}

// Echo returns what it was given.
func (reverse) Echo(value json.RawMessage) json.RawMessage {
	emit("reverse-call", event{"method": "echo", "value": value})
	return value
}

// Fail returns an error with a code.
func (reverse) Fail(code int, message string) error {
	emit("reverse-call", event{"method": "fail"})
	return &failure{code, message, nil}
}
