package lab

import (
	"os"
	"path/filepath"
)

// Webhook is a receiver of alerts, and how to log in there: with a bearer
// token or with a user name and password. Without a URL alerts are kept and
// sent to nobody.
type Webhook struct {
	URL                string
	BearerToken        string
	Username, Password string
	// CAFile holds the certificate authorities to trust for https.
	CAFile string
	// WithoutResolved leaves out the message that an alert is over.
	WithoutResolved bool
	// MaxAlerts is the highest number of alerts in a message; 0 is all.
	MaxAlerts int
}

// receiver is the receiver of a route. Secrets are put into files of home, so
// that a configuration can be shown.
func (w Webhook) receiver(home string) (settings, error) {
	if w.URL == "" {
		return settings{"name": "nobody"}, nil
	}
	for name, secret := range map[string]string{"token": w.BearerToken, "password": w.Password} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(secret), 0o600); err != nil {
			return nil, err
		}
	}
	return settings{"name": "webhook", "webhook_configs": []settings{{
		"url": w.URL, "send_resolved": !w.WithoutResolved, "max_alerts": w.MaxAlerts, "http_config": w.login(),
	}}}, nil
}

func (w Webhook) login() settings {
	login := settings{}
	if w.CAFile != "" {
		login["tls_config"] = settings{"ca_file": w.CAFile}
	}
	if w.BearerToken != "" {
		login["authorization"] = settings{"credentials_file": "token"}
	}
	if w.Username != "" {
		login["basic_auth"] = settings{"username": w.Username, "password_file": "password"}
	}
	return login
}
