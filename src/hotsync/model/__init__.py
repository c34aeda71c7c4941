"""Plain values and pure rules. Nothing here touches the machine; the standard library is all it needs."""
