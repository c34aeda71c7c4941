"""What changed on the MASTER: the sorted walk, its comparison with the manifest, settling, and the guard.

The flow calls, in this order:

* `detect.detect(root, selection, manifest, out, clock, mounts, previous_digest) -> Detection`: the planned changeset.
* `guard.check(manifest, selection, detection, rule) -> tuple[str, ...]`: every reason to hold the run.
* `settle.Settling(root, planned, previous_digest, required)`: send its `send_list`, let it `settle`, at most three
  times; then `finalize(out)`: the final changeset.
* once the generation is committed: `Manifest.apply(read_changes(out), ...)` and `guard.remember(manifest, detection)`.

What must be told to a person comes as `Notice`: `problems` (paths that keep their previous version) and `remarks`
(paths that are left out on purpose).
"""
