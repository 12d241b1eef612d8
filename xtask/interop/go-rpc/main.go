// Command peer is the go-ethereum side of the interoperability tests of JSON-RPC.
//
// With -serve it is go-ethereum's rpc server with a small test service, otherwise go-ethereum's rpc client. Either
// way it speaks JSON lines: one command a line on standard input, at least one event a line on standard output for
// each. The end of standard input ends the program, so a peer never outlives the harness that started it.
//
//	harness ──{"cmd":"call","method":…}──▶ stdin  ┌──────────┐ IPC, HTTP, WS ┌──────────────┐
//	harness ◀─{"event":"answer",…}─────── stdout │ this one │◀─────────────▶│ peer on test │
//	                                             └──────────┘               └──────────────┘
//
// The same source builds on two releases: the current one with go.mod, 1.9.2 with go-1.9.mod and the tag geth1.9.
// What differs between their interfaces is in release_current.go and release_1.9.go.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// command is one line of standard input. Which members count depends on Cmd.
type command struct {
	Cmd       string            `json:"cmd"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Namespace string            `json:"namespace"`
	Calls     []call            `json:"calls"`
	Sub       int               `json:"sub"`
	Count     int               `json:"count"`
	WithinMs  int               `json:"within_ms"`
	call
}

// call is one method with its arguments. No params member, or null, sends none.
type call struct {
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
	As     string            `json:"as"` // one of go-ethereum's types; see through
}

// event is one line of standard output.
type event map[string]any

const (
	// How long a command may take unless it says otherwise. Nothing on one machine takes that long.
	patience = 10 * time.Second

	// A command may carry arguments larger than any limit on test.
	longestCommand = 64 << 20
)

func main() {
	var ipc string
	flag.StringVar(&ipc, "serve", "", "be a server: on this socket path, and on a free port for HTTP and WebSocket")
	flag.Parse()
	run := runClient
	if ipc != "" {
		run = func(commands <-chan command) error { return runServer(ipc, commands) }
	}
	if err := run(readCommands()); err != nil {
		emit("failed", event{"error": err.Error()})
		os.Exit(1)
	}
}

// readCommands delivers the lines of standard input and closes the channel at its end.
func readCommands() <-chan command {
	commands := make(chan command)
	go func() {
		defer close(commands)
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, longestCommand)
		for lines.Scan() {
			var cmd command
			if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
				emit("bad-command", event{"error": err.Error()})
				continue
			}
			commands <- cmd
		}
		if err := lines.Err(); err != nil {
			emit("bad-command", event{"error": err.Error()})
		}
	}()
	return commands
}

var stdout sync.Mutex

// emit prints one event. Lines of several goroutines never mix.
func emit(kind string, fields event) {
	line := event{"event": kind}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // only what came out of JSON, strings, numbers and booleans get here
	}
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Println(string(text))
}

// versions says which implementation this is, as the module system resolved it.
func versions() event {
	fields := event{"implementation": "go-ethereum/rpc", "version": "unknown", "runtime": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/ethereum/go-ethereum" {
				fields["version"] = module.Version
			}
		}
	}
	return fields
}
