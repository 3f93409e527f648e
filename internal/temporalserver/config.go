//go:build !noembedded

package temporalserver

import (
	"fmt"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/common/testing/freeport"
)

const loopback = "127.0.0.1"

// layout is where the services of one server listen.
type layout struct {
	services map[string]config.Service
	hosts    map[primitives.ServiceName]static.Hosts
}

func newLayout() layout {
	l := layout{services: map[string]config.Service{}, hosts: map[primitives.ServiceName]static.Hosts{}}
	for _, name := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port := freeport.MustGetFreePort()
		l.services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
		l.hosts[name] = static.SingleLocalHost(fmt.Sprintf("%s:%d", loopback, port))
	}
	return l
}

func (l layout) frontend() string { return l.hosts[primitives.FrontendService].Self }

func serverConfig(files store, l layout) *config.Config {
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     "runs",
			VisibilityStore:  "visibility",
			NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{
				"runs":       {SQL: files.runs},
				"visibility": {SQL: files.visibility},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: l.frontend()},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            l.services,
		PublicClient:        config.PublicClient{HostPort: l.frontend()},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}
}
