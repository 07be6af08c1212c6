package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/eligen/eligen/farm"
)

// queueFlags adds the flags that name a queue, which newApp reads.
func queueFlags(f *pflag.FlagSet) {
	f.String("queue", "", "share work with other machines through the queue at `URL`, such as nats://host (default ELIGEN_QUEUE)")
	f.String("queue-creds", "", "`FILE` of credentials for the queue: NATS's .creds, or an nkey's seed (default ELIGEN_QUEUE_CREDS)")
	f.String("queue-ca", "", "`FILE` of the authority that signed the queue's certificate (default ELIGEN_QUEUE_CA, else the system's)")
	f.String("queue-cert", "", "`FILE` of this machine's certificate, where the queue asks for one; with --queue-key")
	f.String("queue-key", "", "`FILE` of that certificate's key")
}

// queueOptions returns the queue that a command's flags name, or else the environment.
func queueOptions(flags *pflag.FlagSet) (o farm.Options) {
	for name, v := range map[string]struct {
		to  *string
		env string
	}{
		"queue": {&o.URL, "ELIGEN_QUEUE"}, "queue-creds": {&o.Creds, "ELIGEN_QUEUE_CREDS"}, "queue-ca": {&o.CA, "ELIGEN_QUEUE_CA"},
		"queue-cert": {&o.Cert, ""}, "queue-key": {&o.Key, ""},
	} {
		f := flags.Lookup(name)
		if f == nil {
			continue
		}
		if *v.to = f.Value.String(); !f.Changed && v.env != "" {
			*v.to = os.Getenv(v.env)
		}
	}
	return o
}
