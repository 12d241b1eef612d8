package main

// go-ethereum's p2p.Server as it is, with its peer events and its log turned into our event lines.

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

func runServer(opts *options, commands <-chan command) error {
	var exchanges sync.Map // enode.ID → *exchange
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey:  opts.key,
		Name:        opts.name,
		MaxPeers:    opts.maxPeers,
		ListenAddr:  opts.listen,
		NoDiscovery: true,
		Logger:      log.NewLogger(refusals{}),
	}}
	if !opts.noProtocol {
		server.Protocols = []p2p.Protocol{fooProtocol(opts, &exchanges)}
	}
	if err := server.Start(); err != nil {
		return err
	}
	go printPeerEvents(server, opts.noProtocol)
	started := versions()
	started["enode"] = server.Self().URLv4()
	emit("listening", started)
	for _, url := range opts.dial {
		dial(server, url)
	}
	for cmd := range commands {
		if cmd.Cmd == "quit" {
			break
		}
		obey(server, &exchanges, cmd)
	}
	server.Stop()
	emit("stopped", nil)
	return nil
}

func obey(server *p2p.Server, exchanges *sync.Map, cmd command) {
	switch cmd.Cmd {
	case "dial":
		dial(server, cmd.Enode)
	case "disconnect":
		for _, peer := range server.Peers() {
			peer.Disconnect(p2p.DiscReason(cmd.Reason))
		}
	case "send":
		exchanges.Range(func(_, x any) bool {
			go x.(*exchange).sendAll(cmd.Sizes)
			return true
		})
	case "peers":
		ids := []string{}
		for _, peer := range server.Peers() {
			ids = append(ids, peer.ID().String())
		}
		emit("peers", event{"ids": ids})
	default:
		emit("bad-command", event{"error": fmt.Sprintf("a server has no command %q", cmd.Cmd)})
	}
}

func dial(server *p2p.Server, url string) {
	node, err := enode.ParseV4(url)
	if err != nil {
		emit("bad-command", event{"error": err.Error()})
		return
	}
	server.AddPeer(node)
}

// printPeerEvents follows the server's own feed. A protocol prints its peer itself, once it may send.
func printPeerEvents(server *p2p.Server, printAdded bool) {
	feed := make(chan *p2p.PeerEvent, 64) // bound: a handful of peers; the server waits when full
	subscription := server.SubscribeEvents(feed)
	defer subscription.Unsubscribe()
	for {
		select {
		case ev := <-feed:
			switch {
			case ev.Type == p2p.PeerEventTypeDrop:
				emit("drop", event{"id": ev.Peer.String(), "error": ev.Error, "reason": reasonOf(ev.Error)})
			case ev.Type == p2p.PeerEventTypeAdd && printAdded:
				for _, peer := range server.Peers() {
					if peer.ID() == ev.Peer {
						emitPeer(peer)
					}
				}
			}
		case <-subscription.Err():
			return
		}
	}
}

func emitPeer(peer *p2p.Peer) {
	caps := []string{}
	for _, capability := range peer.Caps() {
		caps = append(caps, capability.String())
	}
	fields := event{"id": peer.ID().String(), "name": peer.Fullname(), "caps": caps, "inbound": peer.Inbound()}
	if key := peer.Node().Pubkey(); key != nil {
		fields["key"] = keyHex(key)
	}
	emit("peer", fields)
}

// reasonOf finds the number of the disconnect reason with this text; none when the text is another error.
func reasonOf(text string) any {
	for reason := 0; reason <= int(p2p.DiscSubprotocolError); reason++ {
		if p2p.DiscReason(reason).String() == text {
			return reason
		}
	}
	return nil
}

// refusals is a log handler that prints the connections which never became a peer. go-ethereum tells about them
// nowhere else.
type refusals struct{ attrs []slog.Attr }

var refusalRecords = map[string]bool{
	"Dial error":                      true,
	"Failed RLPx handshake":           true,
	"Failed p2p handshake":            true,
	"Wrong devp2p handshake identity": true,
	"Rejected peer":                   true,
	"Rejected inbound connection":     true,
}

func (r refusals) Enabled(context.Context, slog.Level) bool { return true }

func (r refusals) Handle(_ context.Context, record slog.Record) error {
	if !refusalRecords[record.Message] {
		return nil
	}
	fields := event{"stage": record.Message}
	add := func(attr slog.Attr) bool {
		name := attr.Key
		if name == "err" {
			name = "error"
		}
		fields[name] = fmt.Sprint(attr.Value.Any())
		return true
	}
	for _, attr := range r.attrs {
		add(attr)
	}
	record.Attrs(add)
	emit("refused", fields)
	return nil
}

func (r refusals) WithAttrs(attrs []slog.Attr) slog.Handler {
	return refusals{attrs: append(append([]slog.Attr{}, r.attrs...), attrs...)}
}

func (r refusals) WithGroup(string) slog.Handler { return r }
