"""The wire: who may speak (tls, pairing), how (wire, messages), and the files that go over it (client, bulk, rsync)."""
