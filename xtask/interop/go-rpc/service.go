package main

// The test service, in namespace test.

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

type service struct{}

// failure is an error with a code and data of its own.
type failure struct {
	code    int
	message string
	data    any
}

func (f *failure) Error() string  { return f.message }
func (f *failure) ErrorCode() int { return f.code }
func (f *failure) ErrorData() any { return f.data }

// Echo returns what it was given.
func (service) Echo(value json.RawMessage) json.RawMessage { return value }

// Add adds.
func (service) Add(a, b int) int { return a + b }

// Nothing returns nothing, which is null.
func (service) Nothing() {}

// Note says that it was called.
func (service) Note(value json.RawMessage) { emit("noted", event{"value": value}) }

// Big returns a string of that many bytes.
func (service) Big(size int) string { return strings.Repeat("x", size) }

// Refuse returns an error as most methods do, without a code.
func (service) Refuse(message string) error { return errors.New(message) }

// Fail returns an error with everything an error can have. The last argument may be left out.
func (service) Fail(code int, message string, data *json.RawMessage) error {
	if data == nil {
		return &failure{code, message, nil}
	}
	return &failure{code, message, data}
}

// Crash panics.
func (service) Crash() { panic("told to crash") }

// Sleep returns after that many milliseconds, or says that nobody waits for it any more.
func (service) Sleep(ctx context.Context, ms int) error {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	case <-ctx.Done():
		emit("abandoned", nil)
		return ctx.Err()
	}
}

// CallMeBack calls a method of the client with one argument, and returns what came of it.
func (service) CallMeBack(ctx context.Context, method string, argument json.RawMessage) (json.RawMessage, error) {
	client, ok := rpc.ClientFromContext(ctx)
	if !ok {
		return nil, errors.New("no way back to the client")
	}
	var result json.RawMessage
	err := client.CallContext(ctx, &result, method, argument)
	return result, err
}

// Count is a subscription to that many numbers from start on. It stays, silent, until the client ends it.
func (service) Count(ctx context.Context, count, start int) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	sub := notifier.CreateSubscription()
	go func() {
		for number := start; number < start+count; number++ {
			if err := notifier.Notify(sub.ID, number); err != nil {
				break // the connection is gone, which the next line reports
			}
		}
		err := <-sub.Err() // nothing after an unsubscribe
		emit("unsubscribed", problem(err))
	}()
	return sub, nil
}
