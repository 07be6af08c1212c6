package remote

import (
	"testing"

	"github.com/eligen/eligen/store/storetest"
)

// TestNginx runs the contract on a real server.
func TestNginx(t *testing.T) {
	storetest.Run(t, storetest.Subject{Open: func(t *testing.T) storetest.Opened {
		address, files := storetest.Nginx(t)
		return subject(t, address, files)
	}})
}
