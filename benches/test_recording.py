"""Tests of recording.py: `python3 -m unittest discover -s benches`."""

import os
import unittest
from unittest import mock
from xml.etree import ElementTree

import recording
from recording import PLAIN, Screen, Step, Style

# What a prompt writes: it is drawn, a line is typed, a message is shown above the prompt, which is drawn again.
PROMPT = (
    "Connected\r\n\x1b[?2004h\x1b[?2026h\r\x1b[K> \r\x1b[2C\x1b[?2026lhello\x1b[?2004l\r\n"
    "\x1b[?2004h\x1b[?2026h\r\x1b[K> \r\x1b[2C\x1b[?2026l"
    "\x1b[?2026h\r\x1b[K\x1b[38;5;33m< hello\x1b[39m\r\n> \r\x1b[2C\x1b[?2026l"
)


def lines(text, columns=20):
    screen = Screen(columns)
    screen.write(text)
    return ["".join(character for character, _ in row) for row in screen.rows]


class Cells(unittest.TestCase):
    def test_what_a_prompt_writes_stands_where_it_should(self):
        self.assertEqual(lines(PROMPT), ["Connected", "> hello", "< hello", "> "])

    def test_a_long_line_goes_on_below_and_a_full_one_does_not(self):
        self.assertEqual(lines("abcdef", columns=4), ["abcd", "ef"])
        self.assertEqual(lines("abcd\r\ne", columns=4), ["abcd", "e"])

    def test_the_cursor_goes_where_it_is_sent(self):
        self.assertEqual(lines("a\r\nb\x1b[1Ac"), ["ac", "b"])
        self.assertEqual(lines("abc\x1b[2Dx\x1b[1Gy\x1b[3Cz"), ["yxc z"])
        self.assertEqual(lines("abc\b\bx\x1b[K"), ["ax"])
        self.assertEqual(lines("a\r\nb\r\nc\x1b[2A\x1b[J"), ["a"])

    def test_colours_are_those_of_xterm(self):
        cases = {0: "#484f58", 16: "#000000", 33: "#0087ff", 231: "#ffffff", 232: "#080808", 255: "#eeeeee"}
        for number, expected in cases.items():
            self.assertEqual(recording.colour_of(number), expected)

    def test_text_of_one_style_is_one_run_without_the_blanks_around_it(self):
        screen = Screen(40)
        screen.write("  a b \x1b[1;31mred\x1b[0m  \x1b[38;5;33mblue\x1b[39m")
        self.assertEqual(
            list(screen.runs()),
            [[(2, "a b", PLAIN), (6, "red", Style("#ff7b72", is_bold=True)), (11, "blue", Style("#0087ff"))]],
        )

    def test_what_is_not_known_is_an_error(self):
        for text in ("\x1b[5X", "\x1b]0;title\x07", "\x1b[48;5;1m", "\x1b[?1c", "\x1b[1J"):
            with self.assertRaises(ValueError, msg=repr(text)):
                lines(text)


class Picture(unittest.TestCase):
    def test_each_run_stands_in_its_cells_and_within_the_picture(self):
        screen = Screen(30)
        screen.write(PROMPT.replace("hello", "<&>") + "\r\n\r\n")
        picture = ElementTree.fromstring(recording.svg(screen, "A title"))
        texts = list(picture.iter("{http://www.w3.org/2000/svg}text"))
        self.assertEqual([text.text for text in texts], ["Connected", "> <&>", "< <&>", ">"])
        self.assertEqual(texts[2].get("fill"), "#0087ff")
        for text in texts:
            length = float(text.get("textLength"))
            self.assertAlmostEqual(length, len(text.text) * recording.CELL, places=1)
            self.assertLessEqual(float(text.get("x")) + length, float(picture.get("width")))
            self.assertLess(float(text.get("y")), float(picture.get("height")))


class Driving(unittest.TestCase):
    """With a shell in the place of the program."""

    def play(self, command, *steps):
        screen = Screen(40)
        recording.play(recording.Scene(command, steps), screen, {"PATH": os.environ["PATH"]})
        return ["".join(character for character, _ in row) for row in screen.rows]

    def test_lines_are_typed_when_the_one_before_was_answered(self):
        asks = "stty -echo; printf '> '; read a; echo \"1 $a\"; read b; echo \"2 $b\""
        rows = self.play(asks, Step("x", "1 x"), Step("y", "2 y"))
        self.assertEqual(rows[-3:], ["> 1 x", "2 y", ""])

    def test_an_output_without_an_end_of_line_gets_one(self):
        self.assertEqual(self.play("printf abc"), ["$ printf abc", "abc", ""])

    def test_who_does_not_answer_is_not_waited_for_for_ever(self):
        with mock.patch.object(recording, "SECONDS", 0.3):
            with self.assertRaisesRegex(TimeoutError, "does not end"):
                self.play("sleep 60")
            with self.assertRaisesRegex(TimeoutError, "did not come"):
                self.play("printf '> '; sleep 60", Step("x", "never"))


if __name__ == "__main__":
    unittest.main()
