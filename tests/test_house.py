"""What holds the house together and nothing else would notice."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import files

ROOT = Path(__file__).parents[1]


def test_operator_is_a_folder_and_no_package() -> None:
    """With operator/__init__.py, `import operator` from the root would find our folder, not the standard library."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_locks_name_no_registry() -> None:
    locks = list(files("requirements*.lock"))
    assert len(locks) >= 4
    for lock in locks:
        assert "://" not in lock.read_text(), lock


def test_the_image_and_the_tests_install_the_same_versions() -> None:
    def pins(name: str) -> set[str]:
        return {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
