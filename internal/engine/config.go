// Package engine puts `runbook serve` together: the config, the connections,
// the documents and their reload, Temporal and the worker, and what is served
// over HTTP.
package engine

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/secret"
	"github.com/runbook-engine/runbook/runbooks"
)

// DefaultListen is where the engine listens unless told otherwise.
const DefaultListen = "127.0.0.1:7250"

// Config is the engine's config file.
type Config struct {
	Listen        string               `json:"listen" default:"127.0.0.1:7250" doc:"Address to serve on, host:port. Without auth or tls.client_ca_file it must be a loopback address."`
	ExternalURL   string               `json:"external_url,omitempty" optional:"true" pattern:"^https?://[^/]+" doc:"Where people reach the engine, for links in messages; the address that it listens on without it."`
	DataDir       Path                 `json:"data_dir" optional:"true" doc:"Folder of the engine's own state: the embedded Temporal and the audit file. Without it, runbook-data beside the config file."`
	Runbooks      []Path               `json:"runbooks,omitempty" optional:"true" doc:"Files and folders with runbooks. They are read again when they change."`
	Connections   Connections          `json:"connections" optional:"true" doc:"The systems that runbooks reach, by name; each has exactly one kind. They are fixed when the engine starts."`
	Temporal      Temporal             `json:"temporal" default:"{}" doc:"Where runs are kept. Without an address the engine embeds a Temporal server in data_dir."`
	Auth          identity.Config      `json:"auth" default:"{}" doc:"Who may use the engine over HTTP."`
	TLS           TLS                  `json:"tls" default:"{}" doc:"Serving over TLS."`
	Alertmanagers []string             `json:"alertmanagers,omitempty" optional:"true" doc:"Connections to the Alertmanagers that send to this engine, each peer of a cluster by itself: all of them get the engine's own alerts, and are asked for alerts that it has missed. Without it, the only alertmanager connection."`
	Guards        Guards               `json:"guards" default:"{}" doc:"What holds back all runbooks together, and what each must keep to."`
	Notices       Notices              `json:"notices" default:"{}" doc:"How people are told that somebody halted the engine, resumed, or set a guard aside."`
	Autonomy      runbooks.Environment `json:"autonomy" default:"{}" doc:"The most that runbooks may do by themselves here, whatever they say of themselves."`
	Windows       map[string]Window    `json:"windows,omitempty" optional:"true" doc:"Maintenance windows and freezes by name. Those that are open are in windows, for conditions."`
	Webhook       Webhook              `json:"webhook" default:"{}" doc:"The receiver of Alertmanager's notifications."`
	Artefacts     Artefacts            `json:"artefacts" default:"{}" doc:"Where captures go: profiles, dumps and listings that are taken before something is restarted."`
	Audit         Audit                `json:"audit" default:"{}" doc:"The record of who did what, why, to what and with what result."`
	Log           Log                  `json:"log" default:"{}" doc:"The engine's log: JSON lines on standard error."`
	Retention     model.Duration       `json:"retention" default:"180d" min:"1d" doc:"How long ended runs stay readable. A longer one that a namespace has already stays."`
}

// Guards hold back runs on top of what their documents say.
type Guards struct {
	ledger.Limits
	Each runbooks.EngineGuards `json:"each" default:"{}" doc:"What every runbook must keep to, whatever its document says. Of the two the stricter holds."`
}

// Notices are alerts about what people do to the engine.
type Notices struct {
	Severity string `json:"severity" default:"warning" pattern:"^[A-Za-z0-9_-]{1,63}$" doc:"Label severity of these alerts; the team's own routes decide who hears them."`
}

// Temporal says which cluster keeps the runs.
type Temporal struct {
	Address    string       `json:"address,omitempty" optional:"true" doc:"Address of an existing cluster, host:port. Without it the engine embeds a server."`
	Namespace  string       `json:"namespace" default:"default" pattern:"^[A-Za-z0-9][A-Za-z0-9_.-]{1,99}$" doc:"Namespace for the runs. It is made when it is missing and the engine may make it."`
	TaskQueue  string       `json:"task_queue" default:"runbook" min:"1" max:"200" doc:"Task queue by which runs find a worker. Engines with the same documents and connections may share one."`
	TLS        *TemporalTLS `json:"tls,omitempty" optional:"true" doc:"TLS to the cluster; {} is enough for a server with a public certificate."`
	APIKeyFile secret.File  `json:"api_key_file,omitempty" optional:"true" doc:"File with the API key of a Temporal Cloud namespace; read again for each request. It implies TLS."`
}

// TemporalTLS is TLS to a cluster.
type TemporalTLS struct {
	CAFile     secret.File `json:"ca_file,omitempty" optional:"true" doc:"Certificates of the authorities to trust, PEM, instead of the system's."`
	CertFile   secret.File `json:"cert_file,omitempty" optional:"true" doc:"Client certificate, PEM; read again for each connection."`
	KeyFile    secret.File `json:"key_file,omitempty" optional:"true" doc:"Key of the client certificate, PEM."`
	ServerName string      `json:"server_name,omitempty" optional:"true" doc:"Name in the server's certificate, where it is not that of the address."`
}

// TLS is the engine's own.
type TLS struct {
	CertFile     secret.File `json:"cert_file,omitempty" optional:"true" doc:"Certificate of the engine, PEM; read again when it changes."`
	KeyFile      secret.File `json:"key_file,omitempty" optional:"true" doc:"Key of the certificate, PEM."`
	ClientCAFile secret.File `json:"client_ca_file,omitempty" optional:"true" doc:"Authorities of client certificates, PEM. With it every request needs one, except those for health; without auth its name says who is asking."`
}

// Webhook bounds what the receiver takes.
type Webhook struct {
	MaxBody   int            `json:"max_body" default:"16777216" min:"65536" max:"268435456" doc:"Largest message, in bytes."`
	Wait      model.Duration `json:"wait" default:"10s" min:"1s" max:"1m" doc:"Time for making the runs of a message durable; after it the answer is 503, and Alertmanager sends the message again."`
	Reconcile model.Duration `json:"reconcile" default:"5m" max:"1h" doc:"How often every Alertmanager is asked what fires, besides at start, so that an alert whose message was missed is acted on. 0s turns it off."`
	Receiver  string         `json:"receiver,omitempty" optional:"true" doc:"Pattern for the names of the receivers that send to this engine, in Alertmanager's config. Without it, runbook and those that messages came from."`
}

// Audit says where the record is.
type Audit struct {
	File Path `json:"file,omitempty" optional:"true" doc:"JSON lines, rotated at 50 MB and kept for 180 days. Without it, audit.jsonl in data_dir."`
}

// Log says how much is logged.
type Log struct {
	Level string `json:"level" default:"info" enum:"debug|info|warn|error" doc:"Least level that is written."`
}

// Logger writes JSON lines of the configured level.
func (c Config) Logger(out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		level = slog.LevelInfo // of a Config that was not read from a file
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
}

func (c Config) retention() time.Duration { return time.Duration(c.Retention) }
