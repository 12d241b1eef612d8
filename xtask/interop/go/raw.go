package main

// One connection over go-ethereum's p2p/rlpx, without its server: the handshake and the frames are theirs, each
// message is the harness's decision. It shows what a server does on its own clock (pings) or never does on
// purpose (a Hello that claims another key, the older forms of Disconnect).

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/rlpx"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	helloMsg      = 0
	disconnectMsg = 1
	pingMsg       = 2
	pongMsg       = 3
	firstSubcode  = 16

	helloVersion     = 5
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
)

// hello is the first message of each side (ethereum/devp2p:rlpx.md, Hello).
type hello struct {
	Version    uint64
	Name       string
	Caps       []p2p.Cap
	ListenPort uint64
	Key        []byte
	Rest       []rlp.RawValue `rlp:"tail"`
}

// rawPeer is the connection; writes come from the reader, the echoes and the commands.
type rawPeer struct {
	conn    *rlpx.Conn
	fd      net.Conn
	writing sync.Mutex
	snappy  bool
	pinged  time.Time
}

func runRaw(opts *options, commands <-chan command) error {
	fd, remote, err := openRaw(opts)
	if err != nil {
		return err
	}
	defer fd.Close()
	peer := &rawPeer{fd: fd}
	if remote == nil {
		peer.conn = rlpx.NewConn(fd, nil)
	} else {
		peer.conn = rlpx.NewConn(fd, remote.Pubkey())
	}
	peer.conn.SetDeadline(time.Now().Add(handshakeTimeout))
	key, err := peer.conn.Handshake(opts.key)
	if err != nil {
		emit("refused", event{"stage": "Failed RLPx handshake", "error": err.Error()})
		return nil
	}
	emit("handshake", event{"key": keyHex(key), "id": idHex(key)})
	if err := peer.sendHello(opts); err != nil {
		return err
	}
	x := newExchange(idHex(key), opts.echo, peer.writeFoo)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer x.close()
		emit("closed", event{"error": peer.read(x, opts).Error()})
	}()
	return peer.obeyAll(commands, x, ended)
}

// openRaw dials the one enode given or takes the first connection to the listening address.
func openRaw(opts *options) (net.Conn, *enode.Node, error) {
	if len(opts.dial) > 0 {
		node, err := enode.ParseV4(opts.dial[0])
		if err != nil {
			return nil, nil, err
		}
		emit("started", versions())
		address := net.JoinHostPort(node.IPAddr().String(), fmt.Sprint(node.TCP()))
		fd, err := net.DialTimeout("tcp", address, dialTimeout)
		return fd, node, err
	}
	listener, err := net.Listen("tcp", opts.listen)
	if err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	address := listener.Addr().(*net.TCPAddr)
	started := versions()
	started["enode"] = enode.NewV4(&opts.key.PublicKey, address.IP, address.Port, address.Port).URLv4()
	emit("listening", started)
	fd, err := listener.Accept()
	return fd, nil, err
}

func (p *rawPeer) sendHello(opts *options) error {
	ours := hello{Version: helloVersion, Name: opts.name, Key: keyBytes(opts.helloKey)}
	if !opts.noProtocol {
		ours.Caps = []p2p.Cap{{Name: fooName, Version: fooVersion}}
	}
	return p.write(helloMsg, &ours)
}

// read handles messages until the connection ends, and says how it ended.
func (p *rawPeer) read(x *exchange, opts *options) error {
	for {
		code, payload, _, err := p.conn.Read()
		if err != nil && code == disconnectMsg {
			// Snappy refused it: a Disconnect may be uncompressed, as ethereumjs sends it.
			return fmt.Errorf("disconnect that does not decompress: %w", err)
		}
		if err != nil {
			return err
		}
		if err := p.handle(code, payload, x, opts); err != nil {
			return err
		}
	}
}

func (p *rawPeer) handle(code uint64, payload []byte, x *exchange, opts *options) error {
	switch {
	case code == helloMsg:
		var theirs hello
		if err := rlp.DecodeBytes(payload, &theirs); err != nil {
			return err
		}
		p.conn.SetDeadline(time.Time{})
		p.setSnappy(theirs.Version >= helloVersion)
		emitHello(&theirs)
		go x.sendAll(opts.send)
	case code == disconnectMsg:
		reason, form, err := decodeDisconnect(payload)
		if err != nil {
			return err
		}
		emit("disconnect", event{"reason": reason, "error": p2p.DiscReason(reason).String(), "form": form})
	case code == pingMsg:
		emit("ping", nil)
		return p.write(pongMsg, []any{})
	case code == pongMsg:
		emit("pong", event{"ms": time.Since(p.pinged).Milliseconds()})
	case code >= firstSubcode:
		return x.handle(code-firstSubcode, append([]byte{}, payload...))
	}
	return nil
}

func (p *rawPeer) obeyAll(commands <-chan command, x *exchange, ended <-chan struct{}) error {
	for {
		select {
		case <-ended:
			return nil
		case cmd, open := <-commands:
			if !open || cmd.Cmd == "quit" {
				return nil
			}
			if err := p.obey(cmd, x); err != nil {
				emit("bad-command", event{"error": err.Error()})
			}
		}
	}
}

func (p *rawPeer) obey(cmd command, x *exchange) error {
	switch cmd.Cmd {
	case "ping":
		p.pinged = time.Now()
		return p.write(pingMsg, []any{})
	case "disconnect":
		return p.disconnect(cmd.Reason, cmd.Form)
	case "send":
		go x.sendAll(cmd.Sizes)
		return nil
	}
	return fmt.Errorf("a bare connection has no command %q", cmd.Cmd)
}

// disconnect sends the reason in one of the forms that peers use, or used once: "list" (today), "bare" (go-ethereum
// 1.10.17 to 1.14.12), and "bare-plain", "list-plain" without compression (ethereumjs sends the former).
func (p *rawPeer) disconnect(reason uint8, form string) error {
	switch form {
	case "", "list":
		return p.write(disconnectMsg, []any{reason})
	case "bare":
		return p.write(disconnectMsg, reason)
	case "bare-plain":
		p.setSnappy(false)
		return p.write(disconnectMsg, reason)
	case "list-plain":
		p.setSnappy(false)
		return p.write(disconnectMsg, []any{reason})
	}
	return fmt.Errorf("no form of disconnect is called %q", form)
}

func decodeDisconnect(payload []byte) (reason uint8, form string, err error) {
	var list []uint8Value
	if rlp.DecodeBytes(payload, &list) == nil && len(list) > 0 {
		return uint8(list[0]), "list", nil
	}
	if rlp.DecodeBytes(payload, &reason) == nil {
		return reason, "bare", nil
	}
	return 0, "", errors.New("disconnect without a reason")
}

// uint8Value keeps rlp from taking a list of bytes for a byte string.
type uint8Value uint8

// DecodeRLP makes this type one that is decoded element by element.
func (v *uint8Value) DecodeRLP(s *rlp.Stream) error {
	n, err := s.Uint8()
	*v = uint8Value(n)
	return err
}

func (p *rawPeer) setSnappy(on bool) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.snappy = on
	p.conn.SetSnappy(on)
}

func (p *rawPeer) writeFoo(code uint64, content []byte) error {
	return p.write(firstSubcode+code, content)
}

func (p *rawPeer) write(code uint64, value any) error {
	payload, err := rlp.EncodeToBytes(value)
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err = p.conn.Write(code, payload)
	return err
}

func emitHello(theirs *hello) {
	caps := []string{}
	for _, capability := range theirs.Caps {
		caps = append(caps, capability.String())
	}
	emit("hello", event{
		"version": theirs.Version, "name": theirs.Name, "caps": caps, "port": theirs.ListenPort,
		"key": fmt.Sprintf("%x", theirs.Key),
	})
}
