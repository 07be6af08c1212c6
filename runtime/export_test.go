package runtime

// Break has fail asked before each file operation of a store and of the outputs of
// runs on it.
func Break(s *Store, fail func(operation, name string) error) { s.files.fail = fail }
