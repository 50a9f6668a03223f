"""Run folders made into a page that shows them: what was run, evaluated, trained or compared.

Begin with `report.py`, which reads what kind of folder it is; `explained.py` and `evaluated.py` read its rows into
entries (`entry.py`), `gallery.py` packs their photos and maps, and the page is made by `render/report`.
"""
