"""The table at the end of the demo: what was measured, and what held."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """What was measured and whether it held."""

    rows: list[tuple[str, str, bool]] = field(default_factory=list)

    def measured(self, what: str, value: str) -> None:
        """Note a figure."""
        self.rows.append((what, value, True))

    def aimed(self, what: str, seconds: float, aim: float) -> None:
        """Note a figure beside its aim; missing it is said, and is no failure: a slow machine proves nothing wrong."""
        told = "aim" if seconds <= aim else "LONGER than the aim"
        self.rows.append((what, f"{seconds:.1f} s  ({told}: {aim:.0f} s)", True))

    def check(self, what: str, held: bool, detail: str = "") -> bool:
        """Note whether something held, and return it."""
        self.rows.append((what, ("yes" if held else "NO") + (f"  ({detail})" if detail else ""), held))
        return held

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return all(row[2] for row in self.rows)

    def show(self) -> None:
        """Print the table."""
        width = max(len(row[0]) for row in self.rows)
        print()
        for what, value, _ in self.rows:
            print(f"  {what:<{width}}  {value}")
        failed = sum(not row[2] for row in self.rows)
        print(f"\n  {'every check held' if not failed else f'{failed} checks did not hold'}\n", flush=True)
