"""Any Gymnasium environment as a stream of time steps: in process, in subprocesses, native; snapshots; masks."""
