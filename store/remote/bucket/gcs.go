//go:build gcs

package bucket

import _ "gocloud.dev/blob/gcsblob" // gs:, whose client is as large as those of all others together
