package remote

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// maxAction is how many bytes an ActionResult may have; eligen's have about 85.
const maxAction = 64 << 10

// The fields of build.bazel.remote.execution.v2, of which eligen writes the fewest that
// servers accept: an ActionResult with one OutputFile, and its Digest.
const (
	actionOutputFiles = 2
	filePath          = 1
	fileDigest        = 2
	digestHash        = 1
	digestSize        = 2
)

// outputName is the path of the one file in an ActionResult.
const outputName = "result"

// encodeAction returns the ActionResult of a result whose content has that digest and
// size.
func encodeAction(content eligen.Digest, size int64) []byte {
	var digest, file, action []byte
	digest = protowire.AppendTag(digest, digestHash, protowire.BytesType)
	digest = protowire.AppendString(digest, string(content))
	if size > 0 {
		digest = protowire.AppendTag(digest, digestSize, protowire.VarintType)
		digest = protowire.AppendVarint(digest, uint64(size))
	}
	file = protowire.AppendTag(file, filePath, protowire.BytesType)
	file = protowire.AppendString(file, outputName)
	file = protowire.AppendTag(file, fileDigest, protowire.BytesType)
	file = protowire.AppendBytes(file, digest)
	action = protowire.AppendTag(action, actionOutputFiles, protowire.BytesType)
	return protowire.AppendBytes(action, file)
}

// parseAction reads an ActionResult with one file, whatever else the server has added.
func parseAction(data []byte) (content eligen.Digest, size int64, ok bool) {
	if len(data) > maxAction {
		return "", 0, false
	}
	action, ok := fields(data)
	if !ok || len(action.bytes[actionOutputFiles]) != 1 {
		return "", 0, false
	}
	file, ok := fields(action.bytes[actionOutputFiles][0])
	if !ok || len(file.bytes[filePath]) != 1 || string(file.bytes[filePath][0]) != outputName || len(file.bytes[fileDigest]) != 1 {
		return "", 0, false
	}
	digest, ok := fields(file.bytes[fileDigest][0])
	if !ok || len(digest.bytes[digestHash]) != 1 || digest.ints[digestSize] > runtime.MaxResult {
		return "", 0, false
	}
	content = eligen.Digest(digest.bytes[digestHash][0])
	return content, int64(digest.ints[digestSize]), runtime.IsKey(content)
}

// A message is the fields of a protobuf message.
type message struct {
	bytes map[protowire.Number][][]byte
	ints  map[protowire.Number]uint64 // the last of each
}

// fields reads a message; ok is false where it is none.
func fields(data []byte) (m message, ok bool) {
	m = message{map[protowire.Number][][]byte{}, map[protowire.Number]uint64{}}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return m, false
		}
		data = data[n:]
		switch kind {
		case protowire.BytesType:
			var value []byte
			if value, n = protowire.ConsumeBytes(data); n >= 0 {
				m.bytes[number] = append(m.bytes[number], value)
			}
		case protowire.VarintType:
			m.ints[number], n = protowire.ConsumeVarint(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return m, false
		}
		data = data[n:]
	}
	return m, true
}
