package main

// The two halves against each other, so that a scenario of the harness that fails is not the fault of these programs:
//
//	go test .
//	go test -modfile=go-1.9.mod -tags=geth1.9 .
//
// INTEROP_SERVER names another build to be the server, which crosses the two releases.

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary the program itself when it is told to.
func TestMain(m *testing.M) {
	if os.Getenv("INTEROP_BE_PEER") == "" {
		os.Exit(m.Run())
	}
	main()
}

// step is one command and the event that must answer it. What an expected event does not mention is not compared.
type step struct{ command, event string }

var everyTransport = []step{
	{`{"cmd":"call","method":"rpc_modules"}`, `{"event":"answer","result":{"rpc":"1.0","test":"1.0"}}`},
	{`{"cmd":"call","method":"test_echo","params":[{"a":[1,null]}]}`, `{"event":"answer","result":{"a":[1,null]}}`},
	{`{"cmd":"call","method":"test_echo","params":[{"type":"add","peer":"a"}],"as":"peerEvent"}`, `{"result":{"type":"add","peer":"a"}}`},
	{`{"cmd":"call","method":"test_echo","params":[{"type":"add","pear":"a"}],"as":"peerEvent"}`, `{"failure":"json: unknown field \"pear\""}`},
	{`{"cmd":"call","method":"test_nothing"}`, `{"event":"answer","result":null}`},
	{`{"cmd":"call","method":"test_nothing","params":[]}`, `{"event":"answer","result":null}`},
	{`{"cmd":"call","method":"test_add","params":[1]}`, `{"error":{"code":-32602,"message":"missing value for required argument 1"}}`},
	{`{"cmd":"call","method":"no_such"}`, `{"error":{"code":-32601,"message":"the method no_such does not exist/is not available"}}`},
	{`{"cmd":"call","method":"test_refuse","params":["no"]}`, `{"error":{"code":-32000,"message":"no"}}`},
	{`{"cmd":"call","method":"test_fail","params":[-5,"bad"]}`, `{"error":{"code":-5,"message":"bad"}}`},
	{`{"cmd":"call","method":"test_crash"}`, `{"error":{"message":"method handler crashed"}}`},
	{`{"cmd":"call","method":"test_sleep","params":[200],"within_ms":20}`, `{"event":"answer"}`},
	{`{"cmd":"call","method":"test_echo","params":["after a cancelled call"]}`, `{"result":"after a cancelled call"}`},
	{`{"cmd":"batch","calls":[{"method":"test_add","params":[1,2]},{"method":"no_such"},{"method":"test_nothing"}]}`,
		`{"answers":[{"result":3},{"error":{"code":-32601}},{"result":null}]}`},
	{`{"cmd":"concurrent","method":"test_echo","count":1000}`, `{"event":"concurrent","right":1000,"wrong":0,"failed":0}`},
	{`{"cmd":"register","namespace":"peer"}`, `{"event":"registered"}`},
	{`{"cmd":"no such command"}`, `{"event":"bad-command"}`},
}

var bothWays = []step{
	{`{"cmd":"notify","method":"test_nothing"}`, `{"event":"notified"}`},
	{`{"cmd":"call","method":"test_callMeBack","params":["peer_echo",5]}`, `{"event":"reverse-call","method":"echo","value":5}`},
	{``, `{"event":"answer","result":5}`},
	{`{"cmd":"call","method":"test_callMeBack","params":["peer_none",5]}`, `{"error":{"code":-32601}}`},
	{`{"cmd":"subscribe","namespace":"test","params":["none"]}`, `{"event":"subscribed","error":{"code":-32601}}`},
	{`{"cmd":"subscribe","namespace":"test","params":["count",2,10]}`, `{"event":"subscribed","sub":1}`},
	{``, `{"event":"notification","sub":1,"result":10}`},
	{``, `{"event":"notification","sub":1,"result":11}`},
	{`{"cmd":"unsubscribe","sub":1}`, `{"event":"ended","sub":1}`},
	{`{"cmd":"subscribe","namespace":"test","params":["count",0,0]}`, `{"event":"subscribed","sub":2}`},
}

var noWayBack = []step{
	{`{"cmd":"call","method":"test_callMeBack","params":["peer_echo",5]}`, `{"error":{"code":-32000,"message":"no way back to the client"}}`},
	{`{"cmd":"subscribe","namespace":"test","params":["count",2,10]}`, `{"event":"subscribed"}`},
}

func TestClientAgainstServer(t *testing.T) {
	transports := map[string][]step{"ipc": bothWays, "ws": bothWays, "http": noWayBack}
	for transport, more := range transports {
		t.Run(transport, func(t *testing.T) {
			server := start(t, cmp.Or(os.Getenv("INTEROP_SERVER"), os.Args[0]), "-serve", filepath.Join(t.TempDir(), "rpc.ipc"))
			where := server.expect(`{"event":"listening"}`)
			client := start(t, os.Args[0])
			client.expect(`{"event":"started"}`)
			client.do(step{`{"cmd":"dial","url":"` + where[transport].(string) + `"}`, `{"event":"dialed"}`})

			for _, step := range append(everyTransport, more...) {
				client.do(step)
			}

			// The same server again, at the same place.
			server.send(`{"cmd":"stop"}`)
			server.skipTo("stopped")
			if transport != "http" {
				client.expect(`{"event":"ended","sub":2}`)
			}
			server.send(`{"cmd":"start"}`)
			server.skipTo("listening")
			client.do(step{`{"cmd":"call","method":"test_nothing"}`, `{"event":"answer"}`}) // 1.9 dials on the next call only
			client.do(step{`{"cmd":"call","method":"test_echo","params":["again"]}`, `{"result":"again"}`})
		})
	}
}

// process is one running peer.
type process struct {
	t      *testing.T
	stdin  io.Writer
	events chan event
}

func start(t *testing.T, program string, arguments ...string) *process {
	t.Helper()
	child := exec.Command(program, arguments...)
	child.Env = append(os.Environ(), "INTEROP_BE_PEER=1")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t, stdin, make(chan event, 64)} // bound: a test's worth; the child waits when full
	go func() {
		defer close(p.events)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var ev event
			if json.Unmarshal(lines.Bytes(), &ev) == nil {
				p.events <- ev
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		for range p.events { // its output must be read to the end before Wait
		}
		if err := child.Wait(); err != nil {
			t.Errorf("%s %v: %v", program, arguments, err)
		}
	})
	return p
}

func (p *process) send(command string) {
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) do(step step) {
	p.t.Helper()
	if step.command != "" {
		p.send(step.command)
	}
	p.expect(step.event)
}

func (p *process) next() event {
	p.t.Helper()
	select {
	case ev := <-p.events:
		return ev
	case <-time.After(15 * time.Second):
		p.t.Fatal("no event")
		return nil
	}
}

func (p *process) expect(want string) event {
	p.t.Helper()
	var wanted map[string]any
	if err := json.NewDecoder(strings.NewReader(want)).Decode(&wanted); err != nil {
		p.t.Fatal(err)
	}
	got := p.next()
	if !contains(map[string]any(got), wanted) {
		p.t.Fatalf("got %v, want %v", got, wanted)
	}
	return got
}

// skipTo passes over what the service reports on the way.
func (p *process) skipTo(kind string) {
	p.t.Helper()
	for p.next()["event"] != kind {
	}
}

// contains says whether everything wanted is in what was got.
func contains(got, wanted any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		members, ok := got.(map[string]any)
		for name, value := range wanted {
			there, has := members[name]
			ok = ok && has && contains(there, value)
		}
		return ok
	case []any:
		elements, ok := got.([]any)
		ok = ok && len(elements) == len(wanted)
		for i := 0; ok && i < len(wanted); i++ {
			ok = contains(elements[i], wanted[i])
		}
		return ok
	}
	return reflect.DeepEqual(got, wanted)
}
