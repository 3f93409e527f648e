//go:build !noembedded

package temporalserver

import (
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// unlimited is a rate or a count that one process with one SQLite connection never reaches. The server's limits protect
// tenants of a cluster from each other; here there is one, and a refused request would be a lost alert.
const unlimited = 1_000_000

const queueWorkers = 64

// tuning is what this server does differently from a cluster of the same version.
func tuning() dynamicconfig.StaticClient {
	settings := dynamicconfig.StaticClient{}
	for _, group := range []dynamicconfig.StaticClient{latency(), limits(), upkeep()} {
		for key, value := range group {
			settings[key] = value
		}
	}
	return settings
}

// latency removes the waits that only make sense between machines.
func latency() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.EnableEagerWorkflowStart.Key():     true,
		dynamicconfig.EnableActivityEagerExecution.Key(): true,
		// A queue reads its table when it is told of a new task, at most this often; 20 a second would hold each hop
		// up by 50 ms. It does not read more often when nothing happens.
		dynamicconfig.TransferProcessorMaxPollRPS.Key():   2000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():      2000,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(): 2000,
		// One process serves every task queue, so partitions only add a hop.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// A run whose worker was killed in the middle of a workflow task goes on after this.
		dynamicconfig.DefaultWorkflowTaskTimeout.Key(): 5 * time.Second,
		// About once in a thousand a waiter misses the end of a run and waits for this to pass.
		dynamicconfig.HistoryLongPollExpirationInterval.Key(): 2 * time.Second,
	}
}

func limits() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.FrontendRPS.Key():                                         unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                  unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): unlimited,
		dynamicconfig.MatchingRPS.Key():                                         unlimited,
		dynamicconfig.HistoryRPS.Key():                                          unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                           unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                           unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                            unlimited,
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key():                     unlimited,
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key():                    unlimited,
	}
}

// upkeep keeps the process quiet and the file small.
func upkeep() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// No traffic off the host.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
		// Each refused duplicate start leaves its input behind; the history scanner removes it once it is this old.
		dynamicconfig.HistoryScannerDataMinAge.Key(): 24 * time.Hour,
		// Children are closed in line.
		dynamicconfig.EnableParentClosePolicyWorker.Key(): false,
		// The scanners wake up twice a day.
		dynamicconfig.WorkerScannerMaxConcurrentActivityTaskPollers.Key(): 1,
		dynamicconfig.WorkerScannerMaxConcurrentWorkflowTaskPollers.Key(): 2,
		// One connection to the database does not need 512 workers for each of three queues.
		dynamicconfig.TransferProcessorSchedulerWorkerCount.Key():   queueWorkers,
		dynamicconfig.TimerProcessorSchedulerWorkerCount.Key():      queueWorkers,
		dynamicconfig.VisibilityProcessorSchedulerWorkerCount.Key(): queueWorkers,
		// Runs kept in memory. The default, 128,000, has the memory of a cluster in mind.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 10_000,
		// A local connection has no reason to be replaced every five minutes.
		dynamicconfig.KeepAliveMaxConnectionAge.Key(): 365 * 24 * time.Hour,
	}
}
