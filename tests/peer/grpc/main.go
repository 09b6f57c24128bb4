// A client and a server of grpc-go's own, without a sidecar: the client takes its configuration by
// xDS from graymeshd (proxyless gRPC). grpc_test.py tells both what to do and judges what they say.
//
//	peer serve baseline=127.1.9.1:9090 feature-a=127.1.9.2:9090
//	    one plain gRPC server for each NAME=ADDRESS; each answers with its NAME. Ends when stdin does.
//
//	peer ask xds:///cart.fe-pre.svc.cluster.local:9090
//	    calls in turn without a header and with `canarytag: feature-a`, until stdin ends; one line of
//	    JSON for each call: {"tag":"feature-a","server":"baseline"} or {"tag":"","error":"..."}.
//	    GRPC_XDS_BOOTSTRAP or GRPC_XDS_BOOTSTRAP_CONFIG says where the control plane is.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	_ "google.golang.org/grpc/xds" // the xds: scheme
)

// named answers every call with its own name.
type named struct {
	grpc_testing.UnimplementedTestServiceServer
	name string
}

func (server named) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{ServerId: server.name}, nil
}

func serve(places []string) error {
	for _, place := range places {
		name, address, found := strings.Cut(place, "=")
		if !found {
			return fmt.Errorf("%q must be NAME=ADDRESS:PORT", place)
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		server := grpc.NewServer()
		grpc_testing.RegisterTestServiceServer(server, named{name: name})
		go server.Serve(listener)
	}
	fmt.Println("serving")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// Outcome is one line of what `ask` prints.
type Outcome struct {
	Tag    string `json:"tag"`
	Server string `json:"server,omitempty"`
	Error  string `json:"error,omitempty"`
}

func call(client grpc_testing.TestServiceClient, tag string) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if tag != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "canarytag", tag)
	}
	answer, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{FillServerId: true})
	if err != nil {
		return Outcome{Tag: tag, Error: err.Error()}
	}
	return Outcome{Tag: tag, Server: answer.GetServerId()}
}

func ask(target string) error {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := grpc_testing.NewTestServiceClient(connection)
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	for {
		for _, tag := range []string{"", "feature-a"} {
			if err := lines.Encode(call(client, tag)); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func main() {
	err := fmt.Errorf("usage: peer serve NAME=ADDRESS:PORT... | peer ask TARGET")
	switch {
	case len(os.Args) > 2 && os.Args[1] == "serve":
		err = serve(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "ask":
		err = ask(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
