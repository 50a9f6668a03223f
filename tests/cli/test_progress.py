"""What a run says of how far it is."""

from __future__ import annotations

from explainers.cli.terminal.progress import Progress


def test_a_long_image_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr("explainers.cli.terminal.progress.EVERY", -1.0)
    progress = Progress(quiet=False)
    progress.passes("rise", 200, 4000, 85.4)
    progress.update(1, 7, "a.png")
    progress.passes("rise", 8, 4000, 85.4)
    assert capsys.readouterr().err.splitlines() == [
        "explain: rise 200/4000 passes, 85/s",
        "explain: 1 of 7 images",
        "explain: 1 of 7 images, then rise 8/4000 passes, 85/s",
    ]
