// Command peer is the go-ethereum side of the interoperability tests.
//
// It runs go-ethereum's own p2p.Server with one small protocol, foo/42, or, with -raw, a single bare RLPx
// connection on which the harness decides every message. Either way it speaks JSON lines: one event a line on
// standard output, one command a line on standard input. The end of standard input ends the program, so a peer
// never outlives the harness that started it.
//
//	harness ──{"cmd":"dial","enode":…}──▶ stdin  ┌──────────┐  TCP   ┌──────────────┐
//	harness ◀─{"event":"peer","id":…}─── stdout │ this one │◀──────▶│ peer on test │
//	                                            └──────────┘        └──────────────┘
package main

import (
	"bufio"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/crypto"
)

// options is the command line.
type options struct {
	key        *ecdsa.PrivateKey
	helloKey   *ecdsa.PublicKey
	name       string
	listen     string
	dial       []string
	maxPeers   int
	echo       bool
	send       []int
	noProtocol bool
	raw        bool
}

// command is one line of standard input. Which members count depends on Cmd.
type command struct {
	Cmd    string `json:"cmd"`
	Enode  string `json:"enode"`
	Reason uint8  `json:"reason"`
	Form   string `json:"form"`
	Sizes  []int  `json:"sizes"`
}

// event is one line of standard output.
type event map[string]any

func main() {
	opts, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	run := runServer
	if opts.raw {
		run = runRaw
	}
	if err := run(opts, readCommands()); err != nil {
		emit("failed", event{"error": err.Error()})
		os.Exit(1)
	}
}

func parseOptions(args []string) (*options, error) {
	var (
		opts                   options
		key, helloKey, sizeCSV string
	)
	flags := flag.NewFlagSet("peer", flag.ContinueOnError)
	flags.StringVar(&key, "key", "", "private key, 64 hex digits; a fresh one if absent")
	flags.StringVar(&helloKey, "hello-key", "", "private key whose public key the Hello claims instead (raw only)")
	flags.StringVar(&opts.name, "name", "interop-go", "client id of the Hello")
	flags.StringVar(&opts.listen, "listen", "", "TCP address to listen on, such as 127.0.0.1:0")
	flags.Func("dial", "enode URL to dial, may be repeated", func(url string) error {
		opts.dial = append(opts.dial, url)
		return nil
	})
	flags.IntVar(&opts.maxPeers, "max-peers", 10, "most peers at a time")
	flags.BoolVar(&opts.echo, "echo", false, "answer each message of code 0 with the same content as code 1")
	flags.StringVar(&sizeCSV, "send", "", "sizes in bytes to send on connect, comma separated")
	flags.BoolVar(&opts.noProtocol, "no-protocol", false, "offer no capability at all")
	flags.BoolVar(&opts.raw, "raw", false, "one bare RLPx connection instead of a server")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if opts.key, err = keyFromHex(key); err != nil {
		return nil, fmt.Errorf("-key: %w", err)
	}
	opts.helloKey = &opts.key.PublicKey
	if helloKey != "" {
		other, err := keyFromHex(helloKey)
		if err != nil {
			return nil, fmt.Errorf("-hello-key: %w", err)
		}
		opts.helloKey = &other.PublicKey
	}
	opts.send, err = parseSizes(sizeCSV)
	return &opts, err
}

func keyFromHex(text string) (*ecdsa.PrivateKey, error) {
	if text == "" {
		return crypto.GenerateKey()
	}
	return crypto.HexToECDSA(text)
}

func parseSizes(csv string) ([]int, error) {
	var sizes []int
	for _, field := range strings.Split(csv, ",") {
		if field == "" {
			continue
		}
		size, err := strconv.Atoi(field)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("-send: %q is not a size in bytes", field)
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// readCommands delivers the lines of standard input and closes the channel at its end.
func readCommands() <-chan command {
	commands := make(chan command)
	go func() {
		defer close(commands)
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			var cmd command
			if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
				emit("bad-command", event{"error": err.Error(), "line": lines.Text()})
				continue
			}
			commands <- cmd
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
		panic(err) // only strings, numbers and booleans get here
	}
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Println(string(text))
}

// versions says which implementation this is, as the module system resolved it.
func versions() event {
	fields := event{"implementation": "go-ethereum", "version": "unknown", "runtime": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/ethereum/go-ethereum" {
				fields["version"] = module.Version
			}
		}
	}
	return fields
}

// keyBytes is the public key as devp2p writes it: 64 bytes, x then y, without the leading 04.
func keyBytes(key *ecdsa.PublicKey) []byte { return crypto.FromECDSAPub(key)[1:] }

func keyHex(key *ecdsa.PublicKey) string { return hex.EncodeToString(keyBytes(key)) }

func idHex(key *ecdsa.PublicKey) string { return hex.EncodeToString(crypto.Keccak256(keyBytes(key))) }
