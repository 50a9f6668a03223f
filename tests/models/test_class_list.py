"""Files of class names: what they say, and what is refused because a name would go to another class."""

import json

import pytest
from explainers.cli.main import main

from explainers.data.box_table import read_boxes
from explainers.errors import OptionError
from explainers.models.class_list import read_class_names

WANTED = ("cat", "dog", "42")
READ = {
    "plain.txt": b"cat\ndog\n42\n",
    "a byte-order mark and Windows' lines.txt": b"\xef\xbb\xbfcat\r\n\r\ndog\r\n42\r\n\r\n",
    "list.json": b'["cat", "dog", 42]',
    "marked.json": b'\xef\xbb\xbf["cat", "dog", 42]',
    "indices in another order.json": b'{"1": "dog", "0": "cat", "2": 42}',
    "as ImageNet's.json": b'{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "42"]}',
}
REFUSED = {
    "empty.txt": (b"\n \n", "names no classes"),
    "empty.json": (b"[]", "names no classes"),
    "utf16.txt": ("cat\ndog".encode("utf-16"), "save it as UTF-8"),
    "latin.txt": ("café\ndog".encode("latin1"), "save it as UTF-8"),
    "gap.json": (b'{"0": "cat", "5": "dog", "9": "42"}', "has no class 1, but '5'"),
    "words.json": (b'{"cat": 0, "dog": 1}', "has no class 0, but 'cat'"),
    "number.json": (b"3", "holds int"),
    "cut.json": (b'["cat", "do', "is no JSON"),
    "nothing.json": (b'["cat", null]', "class 1 is None"),
    "objects.json": (b'[{"name": "cat"}]', "class 0 is {'name': 'cat'}"),
    "deep.json": (b"[" * 100_000, "is no JSON"),
}


@pytest.mark.parametrize("name", READ)
def test_names_are_read_whatever_wrote_the_file(name, tmp_path):
    (tmp_path / name).write_bytes(READ[name])
    assert read_class_names(tmp_path / name) == WANTED


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_whose_names_would_go_astray_is_refused(name, tmp_path):
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=message) as caught:
        read_class_names(tmp_path / name)
    assert name in str(caught.value)


def test_no_file_is_said(tmp_path):
    with pytest.raises(OptionError, match=r"labels: no file .*none\.txt"):
        read_class_names(tmp_path / "none.txt")
    with pytest.raises(OptionError, match="it is a folder"):
        read_class_names(tmp_path)


def test_other_tables_and_settings_may_begin_with_a_mark_too(tmp_path, capsys):
    coco = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}
    (tmp_path / "boxes.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(coco).encode())
    assert [box.corners for box in read_boxes(tmp_path / "boxes.json")["a.png"]] == [(1, 2, 4, 6)]
    (tmp_path / "settings.toml").write_bytes(b'\xef\xbb\xbfmethodd = "rise"')
    assert main(["run", str(tmp_path), "--config", str(tmp_path / "settings.toml")]) == 2
    assert "no option 'methodd'" in capsys.readouterr().err
