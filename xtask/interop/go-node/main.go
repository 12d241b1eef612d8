// Command node is the go-ethereum side of the interoperability tests of whole nodes.
//
// It runs go-ethereum's own node.Node, the container around p2p server and RPC, with one service of ours in it: foo, the
// ping service of the tutorial's chapter C4. It says where it is to be found in one line and then does what it is told
// over RPC, like any node. Standard input has one command, quit; its end ends the program, too, so a node never
// outlives the harness that started it.
//
//	harness ◀─{"event":"listening",…}── stdout ┌───────────┐ fooping/666 ┌──────────────┐
//	harness ──{"cmd":"quit"}──▶ stdin          │ node.Node │◀───────────▶│ node on test │
//	our client ◀── IPC, HTTP, WS ─────────────▶└───────────┘             └──────────────┘
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
)

// event is one line of standard output. Only this goroutine prints.
type event map[string]any

func main() {
	var dataDir string
	flag.StringVar(&dataDir, "datadir", "", "where the node keeps its key, its lock and its socket")
	flag.Parse()
	// What the node has to say goes to standard error; the harness shows the end of it when something fails.
	log.SetDefault(log.NewLogger(log.NewTerminalHandlerWithLevel(os.Stderr, slog.LevelInfo, false)))
	if err := run(dataDir); err != nil {
		emit("failed", event{"error": err.Error()})
		os.Exit(1)
	}
}

func run(dataDir string) error {
	stack, err := newNode(dataDir)
	if err != nil {
		return err
	}
	defer stack.Close() // after an error; a second one does nothing
	if err := stack.Start(); err != nil {
		return err
	}
	started := versions()
	started["enode"] = stack.Server().Self().URLv4()
	started["ipc"], started["http"], started["ws"] = stack.IPCEndpoint(), stack.HTTPEndpoint(), stack.WSEndpoint()
	emit("listening", started)
	if err := waitForQuit(); err != nil {
		return err
	}
	if err := stack.Close(); err != nil {
		return err
	}
	emit("stopped", nil)
	return nil
}

// newNode is the container with the service in it. Every port is one that is free.
func newNode(dataDir string) (*node.Node, error) {
	if dataDir == "" {
		return nil, fmt.Errorf("-datadir is missing")
	}
	modules := []string{"admin", "foo", "web3"}
	stack, err := node.New(&node.Config{
		Name:    name,
		Version: "1",
		DataDir: dataDir,
		IPCPath: filepath.Join(dataDir, "node.ipc"),
		P2P: p2p.Config{
			ListenAddr:      loopback + ":0",
			MaxPeers:        10,
			NoDiscovery:     true,
			EnableMsgEvents: true,
		},
		HTTPHost: loopback, HTTPModules: modules,
		WSHost: loopback, WSModules: modules, WSOrigins: []string{"*"},
	})
	if err != nil {
		return nil, err
	}
	foo := newFooService(stack.Server())
	stack.RegisterProtocols(foo.protocols())
	stack.RegisterAPIs(foo.apis())
	stack.RegisterLifecycle(foo)
	return stack, nil
}

// waitForQuit returns at the command, and at the end of standard input.
func waitForQuit() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command struct{ Cmd string }
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return fmt.Errorf("bad command: %w", err)
		}
		if command.Cmd == "quit" {
			return nil
		}
		emit("bad-command", event{"error": fmt.Sprintf("a node has no command %q", command.Cmd)})
	}
	return lines.Err()
}

func emit(kind string, fields event) {
	line := event{"event": kind}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // only strings get here
	}
	fmt.Println(string(text))
}

// versions says which implementation this is, as the module system resolved it.
func versions() event {
	fields := event{"implementation": "go-ethereum/node", "version": "unknown", "runtime": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/ethereum/go-ethereum" {
				fields["version"] = module.Version
			}
		}
	}
	return fields
}

const (
	name     = "interop-go-node"
	loopback = "127.0.0.1"
)
