// The same program on the release whose client the old tutorial and swarm used:
//
//	go build -modfile=go-1.9.mod -tags=geth1.9 .
//
// That release came before go.mod, so what it needs is chosen here, by name and version.

module interop-rpc

go 1.25.0

require github.com/ethereum/go-ethereum v1.9.2

require (
	github.com/aristanetworks/goarista v0.0.0-20190712234253-ed1100a1c015 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/deckarep/golang-set v1.7.1 // indirect
	github.com/go-stack/stack v1.8.0 // indirect
	github.com/gorilla/websocket v1.4.1 // indirect
	github.com/rs/cors v1.7.0 // indirect
	gopkg.in/natefinch/npipe.v2 v2.0.0-20160621034901-c1b8fa8bdcce // indirect
)
