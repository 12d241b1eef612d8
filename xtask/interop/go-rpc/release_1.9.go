//go:build geth1.9

package main

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/rpc"
)

// dial connects to a socket path, an http:// or a ws:// URL. This release has no say in the headers.
func dial(ctx context.Context, url string, headers map[string]string) (*rpc.Client, error) {
	if len(headers) > 0 {
		return nil, errors.New("this release cannot set headers")
	}
	return rpc.DialContext(ctx, url)
}

// limitBatches does nothing: this release has no limits.
func limitBatches(*rpc.Server) {}
