package main

// The answers of the namespace admin as go-ethereum's own types have them, copied from its package p2p: that of 1.9.2
// does not build as a module. What does not fit into them, a Go program that reads our answers would lose.

import (
	"bytes"
	"encoding/json"
	"fmt"
)

type nodeInfo struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Enode string `json:"enode"`
	ENR   string `json:"enr"`
	IP    string `json:"ip"`
	Ports struct {
		Discovery int `json:"discovery"`
		Listener  int `json:"listener"`
	} `json:"ports"`
	ListenAddr string         `json:"listenAddr"`
	Protocols  map[string]any `json:"protocols"`
}

type peerInfo struct {
	ENR     string   `json:"enr,omitempty"`
	Enode   string   `json:"enode"`
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Caps    []string `json:"caps"`
	Network struct {
		LocalAddress  string `json:"localAddress"`
		RemoteAddress string `json:"remoteAddress"`
		Inbound       bool   `json:"inbound"`
		Trusted       bool   `json:"trusted"`
		Static        bool   `json:"static"`
	} `json:"network"`
	Protocols map[string]any `json:"protocols"`
}

type peerEvent struct {
	Type          string  `json:"type"`
	Peer          string  `json:"peer"`
	Error         string  `json:"error,omitempty"`
	Protocol      string  `json:"protocol,omitempty"`
	MsgCode       *uint64 `json:"msg_code,omitempty"`
	MsgSize       *uint32 `json:"msg_size,omitempty"`
	LocalAddress  string  `json:"local,omitempty"`
	RemoteAddress string  `json:"remote,omitempty"`
}

// through reads a result into one of the types and writes it again. Members that the type has not are an error.
func through(form string, result json.RawMessage) (json.RawMessage, error) {
	var value any
	switch form {
	case "":
		return result, nil
	case "nodeInfo":
		value = new(nodeInfo)
	case "peers":
		value = new([]peerInfo)
	case "peerEvent":
		value = new(peerEvent)
	default:
		return nil, fmt.Errorf("no type %q here", form)
	}
	decoder := json.NewDecoder(bytes.NewReader(result))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
