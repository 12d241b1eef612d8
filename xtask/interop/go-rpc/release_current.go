//go:build !geth1.9

package main

import (
	"context"

	"github.com/ethereum/go-ethereum/rpc"
)

// dial connects to a socket path, an http:// or a ws:// URL. Headers go with every request or with the upgrade.
func dial(ctx context.Context, url string, headers map[string]string) (*rpc.Client, error) {
	var options []rpc.ClientOption
	for name, value := range headers {
		options = append(options, rpc.WithHeader(name, value))
	}
	return rpc.DialOptions(ctx, url, options...)
}

// limitBatches sets what go-ethereum's node sets: calls in a batch, bytes in its answer.
func limitBatches(server *rpc.Server) { server.SetBatchLimits(1000, 25_000_000) }
