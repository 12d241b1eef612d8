package main

// The foo service: pings a peer when it is told to, answers pings, counts pongs.
//
//	foo_ping ──▶ fooService ──▶ the peer's orders ──▶ talk ═══ fooping/666 ═══▶ peer
//	                 ▲  who is here, how many pongs    │
//	                 └─────────────────────────────────┘
//
// It is the service of the tutorial's first edition with its defects mended: the map has a lock, a call for a peer that
// nobody knows is an error and does not hang, a peer that is quit twice is no panic, and a body ends with its connection.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	fooName    = "fooping"
	fooVersion = 666
	fooLength  = 1
	codePing   = 0

	// From the add event of a peer to its body it takes microseconds, unless the machine is very busy.
	patience = 2 * time.Second

	mostGone = 64 // peers that are remembered after they left
)

// FooPingMsg is the message of the protocol, as it was: c280c0 for a ping, c201c0 for a pong.
type FooPingMsg struct {
	Pong    bool
	Created time.Time // has no exported fields, so an empty list is what travels
}

var errUnknownPeer = errors.New("unknown peer")

// order is what a call wants of the body of one peer.
type order int

const (
	ping order = iota
	quit
)

// seat is one peer's body, as calls see it.
type seat struct {
	orders chan order    // bound: 0; a call waits until the body takes its order
	gone   chan struct{} // closed when the body ends
}

// fooService is one object for all peers.
type fooService struct {
	server  *p2p.Server
	mu      sync.Mutex
	pongs   int
	here    map[enode.ID]*seat // bound: one for each peer of the server
	left    []enode.ID         // bound: mostGone, then the oldest is forgotten
	arrival chan struct{}      // closed, and replaced, when a peer comes
}

func newFooService(server *p2p.Server) *fooService {
	return &fooService{server: server, here: map[enode.ID]*seat{}, arrival: make(chan struct{})}
}

// Start has nothing to do: bodies come with their peers.
func (s *fooService) Start() error { return nil }

// Stop has nothing to do either: the p2p server stops next, tells every peer why, and waits for the bodies.
func (s *fooService) Stop() error { return nil }

func (s *fooService) protocols() []p2p.Protocol {
	return []p2p.Protocol{{Name: fooName, Version: fooVersion, Length: fooLength, Run: s.talk}}
}

func (s *fooService) apis() []rpc.API {
	return []rpc.API{{Namespace: "foo", Service: &fooAPI{s}}}
}

// talk is the body of the protocol: once for each peer, until somebody has had enough.
func (s *fooService) talk(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
	here := s.enter(peer.ID())
	defer s.leave(peer.ID(), here)
	// Reading cannot be interrupted, so it has a goroutine of its own; it ends with the connection, which is soon after
	// this function.
	failed := make(chan error, 1) // bound: 1; the reader fails once
	go func() { failed <- s.read(rw) }()
	for {
		select {
		case wanted := <-here.orders:
			if wanted == quit {
				return nil
			}
			if err := p2p.Send(rw, codePing, &FooPingMsg{}); err != nil {
				return err
			}
		case err := <-failed:
			return err
		}
	}
}

// read answers pings and counts pongs.
func (s *fooService) read(rw p2p.MsgReadWriter) error {
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		var content FooPingMsg
		if err := rlp.Decode(msg.Payload, &content); err != nil {
			return fmt.Errorf("code %d: %w", msg.Code, err)
		}
		if content.Pong {
			s.count()
		} else if err := p2p.Send(rw, codePing, &FooPingMsg{Pong: true}); err != nil {
			return err
		}
	}
}

func (s *fooService) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pongs++
}

func (s *fooService) enter(id enode.ID) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := &seat{orders: make(chan order), gone: make(chan struct{})}
	s.here[id] = here
	close(s.arrival)
	s.arrival = make(chan struct{})
	return here
}

func (s *fooService) leave(id enode.ID, here *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(here.gone)
	if s.here[id] != here {
		return // a newer connection of the same peer
	}
	delete(s.here, id)
	s.left = append(s.left, id)
	if len(s.left) > mostGone {
		s.left = s.left[1:]
	}
}

func (s *fooService) isPeer(id enode.ID) bool {
	return slices.ContainsFunc(s.server.Peers(), func(peer *p2p.Peer) bool { return peer.ID() == id })
}

// fooAPI is what callers may do. It is a type of its own, as go-ethereum offers every exported method of one.
type fooAPI struct{ service *fooService }

// Ping sends a ping. A peer of the server whose body has not begun yet has a moment to do so.
func (api *fooAPI) Ping(ctx context.Context, id enode.ID) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		api.service.mu.Lock()
		here, arrival := api.service.here[id], api.service.arrival
		api.service.mu.Unlock()
		if here != nil {
			return here.give(ctx, ping)
		}
		if !api.service.isPeer(id) {
			return errUnknownPeer
		}
		select {
		case <-arrival:
		case <-ctx.Done():
			return errUnknownPeer
		}
	}
}

// Quit hangs up. With a peer that has just left there is nothing to do.
func (api *fooAPI) Quit(ctx context.Context, id enode.ID) error {
	api.service.mu.Lock()
	here, wasHere := api.service.here[id], slices.Contains(api.service.left, id)
	api.service.mu.Unlock()
	switch {
	case here != nil:
		_ = here.give(ctx, quit) // it may leave meanwhile; then it is gone, as was wanted
		return nil
	case wasHere:
		return nil
	}
	return errUnknownPeer
}

// PongCount says how many pongs have come.
func (api *fooAPI) PongCount() int {
	api.service.mu.Lock()
	defer api.service.mu.Unlock()
	return api.service.pongs
}

// Increment counts one that never came.
func (api *fooAPI) Increment() { api.service.count() }

// give hands an order to the body.
func (p *seat) give(ctx context.Context, wanted order) error {
	select {
	case p.orders <- wanted:
		return nil
	case <-p.gone:
		return errUnknownPeer
	case <-ctx.Done():
		return ctx.Err()
	}
}
