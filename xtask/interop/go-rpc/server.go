package main

// go-ethereum's rpc.Server on three transports at once: IPC the way its node opens it, HTTP and WebSocket on one port.

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"
)

const loopback = "127.0.0.1:0"

// endpoints is everything that one start opens and one stop closes.
type endpoints struct {
	server *rpc.Server
	ipc    net.Listener
	http   *http.Server
}

func runServer(path string, commands <-chan command) error {
	address := loopback // after the first start the port that was free then, so that clients find it again
	serving, address, err := serve(path, address)
	if err != nil {
		return err
	}
	for cmd := range commands {
		switch {
		case cmd.Cmd == "quit":
			serving.stop()
			return nil
		case cmd.Cmd == "stop" && serving != nil:
			serving.stop()
			serving = nil
			emit("stopped", nil)
		case cmd.Cmd == "start" && serving == nil:
			if serving, address, err = serve(path, address); err != nil {
				return err
			}
		default:
			emit("bad-command", event{"error": fmt.Sprintf("this is no time for the command %q", cmd.Cmd)})
		}
	}
	serving.stop()
	return nil
}

func serve(path, address string) (*endpoints, string, error) {
	apis := []rpc.API{{Namespace: "test", Service: service{}}}
	ipc, server, err := rpc.StartIPCEndpoint(path, apis)
	if err != nil {
		return nil, "", err
	}
	limitBatches(server)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", err
	}
	limits := rpc.DefaultHTTPTimeouts
	web := &http.Server{
		Handler: webHandler(server), ReadTimeout: limits.ReadTimeout,
		WriteTimeout: limits.WriteTimeout, IdleTimeout: limits.IdleTimeout,
	}
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			emit("failed", event{"error": err.Error()})
		}
	}()
	address = listener.Addr().String()
	started := versions()
	started["ipc"], started["http"], started["ws"] = path, "http://"+address, "ws://"+address
	emit("listening", started)
	return &endpoints{server, ipc, web}, address, nil
}

// webHandler tells the two apart as go-ethereum's node does.
func webHandler(server *rpc.Server) http.Handler {
	websocket := server.WebsocketHandler([]string{"*"})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			websocket.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})
}

// stop ends the connections as well: a WebSocket was taken away from the HTTP server, which no longer closes it.
func (e *endpoints) stop() {
	if e == nil {
		return
	}
	e.ipc.Close()
	e.http.Close()
	e.server.Stop()
}
