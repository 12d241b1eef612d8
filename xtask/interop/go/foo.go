package main

// The test protocol foo/42: code 0 carries a byte string, code 1 carries the same byte string back.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	fooName    = "foo"
	fooVersion = 42
	fooLength  = 2

	codeData = 0
	codeEcho = 1

	// One message of 1 MiB, whatever the load, is far below this.
	echoTimeout = 20 * time.Second
)

// exchange is the state of foo/42 with one peer. How a message leaves is the caller's business, so the server
// and the bare connection share it.
type exchange struct {
	peer    string
	echo    bool
	write   func(code uint64, content []byte) error
	sending sync.Mutex
	echoes  chan []byte
	replies chan []byte
	done    chan struct{}
}

func newExchange(peer string, echo bool, write func(uint64, []byte) error) *exchange {
	x := &exchange{
		peer:    peer,
		echo:    echo,
		write:   write,
		echoes:  make(chan []byte, 16), // bound: as many as one harness step sends; the reader waits when full
		replies: make(chan []byte, 16), // bound: likewise
		done:    make(chan struct{}),
	}
	// Echoes leave from a goroutine of their own: two peers that both write a megabyte from their reading
	// loop wait for each other for ever.
	go x.sendReplies()
	return x
}

// handle takes one received message of foo/42.
func (x *exchange) handle(code uint64, payload []byte) error {
	var content []byte
	if err := rlp.DecodeBytes(payload, &content); err != nil {
		return fmt.Errorf("code %d: %w", code, err)
	}
	sum := sha256.Sum256(content)
	emit("message", event{
		"id": x.peer, "code": code, "size": len(content), "hash": hex.EncodeToString(sum[:]),
		"ok": bytes.Equal(content, pattern(len(content))),
	})
	switch {
	case code == codeEcho:
		return x.pass(x.echoes, content)
	case code == codeData && x.echo:
		return x.pass(x.replies, content)
	}
	return nil
}

// sendAll sends the sizes one after the other, each after the echo of the one before.
func (x *exchange) sendAll(sizes []int) {
	x.sending.Lock()
	defer x.sending.Unlock()
	for _, size := range sizes {
		if err := x.sendOne(size); err != nil {
			emit("echoed", event{"id": x.peer, "size": size, "ok": false, "error": err.Error()})
			return
		}
	}
}

func (x *exchange) sendOne(size int) error {
	content, start := pattern(size), time.Now()
	if err := x.write(codeData, content); err != nil {
		return err
	}
	select {
	case back := <-x.echoes:
		emit("echoed", event{
			"id": x.peer, "size": size, "ok": bytes.Equal(back, content),
			"ms": time.Since(start).Milliseconds(),
		})
		return nil
	case <-x.done:
		return errors.New("connection ended before the echo")
	case <-time.After(echoTimeout):
		return fmt.Errorf("no echo within %v", echoTimeout)
	}
}

func (x *exchange) pass(to chan<- []byte, content []byte) error {
	select {
	case to <- content:
		return nil
	case <-x.done:
		return errors.New("connection ended")
	}
}

func (x *exchange) sendReplies() {
	for {
		select {
		case content := <-x.replies:
			if err := x.write(codeEcho, content); err != nil {
				return // the reading side reports why the connection ended
			}
		case <-x.done:
			return
		}
	}
}

// close releases everything that waits for this peer.
func (x *exchange) close() { close(x.done) }

// pattern is the content of a message of the given size, the same in every peer of the harness: blocks of 1 KiB,
// in turn pseudo-random (xorshift32 seeded with the size) and zero, so compression has something and nothing to do.
func pattern(size int) []byte {
	content, state := make([]byte, size), uint32(size)|1
	for i := range content {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		if i/1024%2 == 0 {
			content[i] = byte(state)
		}
	}
	return content
}

// fooProtocol is foo/42 as p2p.Server wants it.
func fooProtocol(opts *options, exchanges *sync.Map) p2p.Protocol {
	return p2p.Protocol{Name: fooName, Version: fooVersion, Length: fooLength,
		Run: func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
			write := func(code uint64, content []byte) error { return p2p.Send(rw, code, content) }
			x := newExchange(peer.ID().String(), opts.echo, write)
			defer x.close()
			exchanges.Store(peer.ID(), x)
			defer exchanges.Delete(peer.ID())
			emitPeer(peer)
			go x.sendAll(opts.send)
			for {
				msg, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				payload, err := io.ReadAll(msg.Payload)
				if err != nil {
					return err
				}
				if err := x.handle(msg.Code, payload); err != nil {
					return err
				}
			}
		},
	}
}
