"""Titles and names of score files in the character sets of the world."""

import pytest

from ostinato.readers.charsets import guess_charset
from ostinato.readers.read import read

NAMES = {
    "big5hkscs": "鋼琴 小提琴 大提琴 主旋律 低音 古箏 二胡 笛子 茉莉花 望春風 吉他 男低音 編曲 "
    "電吉他 作曲：王小明",
    "cp932": "ピアノ 主旋律 弦楽 右手 左手 春の海 さくら 荒城の月 低音 伴奏",
    "gb18030": "钢琴 小提琴 主旋律 左手 右手 茉莉花 月亮代表我的心 低音 古筝 伴奏",
    "cp949": "피아노 바이올린 아리랑 가야금 오른손 반주 드럼",
    "cp1252": "Flûte Übung Äh Señor Été Ålesund Frühling naïve Ça Köchel",
    "cp1251": "Скрипка Рояль Бас Ударные Гитара",
}


@pytest.mark.parametrize(
    ("charset", "name"), [(charset, n) for charset, names in NAMES.items() for n in names.split()]
)
def test_a_short_name_tells_its_character_set(charset, name):
    assert name.encode(charset).decode(guess_charset([name.encode(charset)])) == name


@pytest.mark.parametrize("charset", [*NAMES, "utf-16", "utf-8-sig"])
@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".abc", 'X:1\nT:{0}\nL:1/4\nK:C\nV:1 name="{0}"\nC"^{0}"DEF|\n'),
        (".krn", '!!!OTL: {0}\n**kern\n*I"{0}\n4c\n4d\n4e\n4f\n*-\n'),
    ],
    ids=["abc", "kern"],
)
def test_titles_and_names_of_scores_are_read_in_their_set_and_no_note_changes(
    tmp_path, charset, suffix, text
):
    name = " ".join(NAMES.get(charset, NAMES["cp1251"]).split()[:4])
    path = tmp_path / f"song{suffix}"
    path.write_bytes(text.format(name).encode(charset))
    piece = read(path).piece
    assert (piece.title, piece.tracks[0].name) == (name, name)
    assert piece.notes["pitch"].tolist() == [60, 62, 64, 65]


def test_a_file_may_say_its_set_and_write_letters_as_signs(tmp_path):
    path = tmp_path / "song.abc"
    said = "%%abc-charset iso-8859-2\nX:1\nT:Łódź\nK:C\nC|\n"
    path.write_bytes(said.encode("iso-8859-2"))
    assert read(path).piece.title == "Łódź"
    path.write_text("X:1\nT:Caf\\'e \\\"Ubung \\ss &eacute;\\u00e9 100\\%\nK:C\nCD|\n")
    assert read(path).piece.title == "Café Übung ß éé 100%"


def test_half_a_character_at_the_end_loses_no_note(tmp_path):
    path = tmp_path / "song.abc"
    path.write_bytes("X:1\nT:Song\nK:C\nCDE|\n".encode("utf-16") + b"\x00")
    assert read(path).piece.notes["pitch"].tolist() == [60, 62, 64]
