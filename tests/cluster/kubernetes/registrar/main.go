// Command registrar tells the kubelet of a CSI driver, as node-driver-registrar does: registrar NAME CSI-SOCKET REGISTRATION-SOCKET.
//
// The kubelet calls a registration socket with the socket's path, percent-encoded, as the request's :authority. That is
// no authority by RFC 3986, and HTTP/2 servers that judge it, the lab's plugin among them, answer PROTOCOL_ERROR. It
// calls the driver itself with "localhost".
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

type registrar struct {
	registration.UnsafeRegistrationServer
	name, endpoint string
}

func (r registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: r.name, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r registrar) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %v %s", status.PluginRegistered, status.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	name, endpoint, socket := os.Args[1], os.Args[2], os.Args[3]
	// The plugin's own registrar, or one that was killed, may have left a socket there.
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, registrar{name: name, endpoint: endpoint})
	log.Fatal(server.Serve(listener))
}
