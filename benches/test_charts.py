"""Tests of charts.py: `python3 -m unittest discover -s benches`. The samples have the form of what the benches print."""

import re
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock
from xml.etree import ElementTree

import charts

HEAD = """\
# machine: A processor <of some kind>, 2 cores, Linux 6.1
# date: 2026-01-02
# versions: websocket-sync 0.1.0, tungstenite 0.30.0, rustc 1.88.0
# command: cargo bench

"""

COMPARISON = HEAD + """\
31 rounds; clients on core 0, server on core 1

                                        ours tungstenite  ratio     quartiles target  floor [then]  other
recv_ref text 16 B             cpu   18.1 ns     50.2 ns   0.36   0.35 - 0.37   0.40   0.30 [0.37]   0.40
recv_ref text 64 B             cpu   23.4 ns     61.0 ns   0.38   0.37 - 0.39   0.40   0.18 [0.17]   0.41
recv text 64 B                 cpu   32.0 ns     61.2 ns   0.52   0.51 - 0.55   0.65                 0.55
recv_ref Greek 256 B           cpu   88.0 ns    263.0 ns   0.33   0.32 - 0.34   0.25   0.15 [0.15]   0.34  missed
recv_ref binary 1 MiB          cpu  111.4 us    154.0 us   0.80   0.78 - 0.83   0.85   0.80 [0.80]   0.91
send text 64 B                 cpu 1234.5 ns   1300.0 ns   0.97   0.95 - 0.99   0.88   0.90 [0.83]   0.97  missed
send batches of 500 x 64 B     cpu   30.0 ns     61.0 ns   0.48   0.47 - 0.50   0.55   0.51 [0.51]   0.50
echo binary 1 MiB             wall  849.0 us    610.0 us   1.49   1.20 - 1.60   0.75   0.70 [0.70]   1.10  missed
round trip 64 B on one core   wall 4500.0 ns   5600.0 ns   0.81   0.80 - 0.83   0.85   0.82 [0.82]   0.80
tls recv_ref records of 100 B  cpu  990.0 ns   2600.0 ns   0.39   0.38 - 0.40   0.35                 0.40  missed
tls recv_ref binary 1 MiB      cpu  514.0 us    702.0 us   0.75   0.70 - 0.80   0.70                 0.80  missed
tls send text 64 B             cpu 2400.0 ns   2400.0 ns   1.01   0.99 - 1.05   0.75                 1.00  missed
connect                        cpu   59.0 us     40.0 us   1.43   1.40 - 1.50                        1.20
system calls text 64 B               0.00048     0.00049                        0.01
"""

INSTRUCTIONS = HEAD + """\
instructions                  core   driver tungstenite  ratio  target
read text 64 B                 103      200         486   0.21     110
write text 64 B                 90      180         400   0.23
"""

WEB_SOCKET = HEAD + """\
100000 messages of 14 bytes, 15 rounds; ms, medians and, of the sum, the minimum

                           writes        send     echo  receive  minimum   median
websocket-sync 0.1.0       each          3.00     4.00     2.00     8.90     9.10
web-socket 0.7.0           each          4.00     8.00     5.00    16.00    18.20
websocket-sync 0.1.0       gathered      2.00     3.00     2.00     6.90     7.00
"""

SCALE = HEAD + """\
websocket-sync 0.1.0 beside tokio-tungstenite 0.30.0 on tokio 1.54.1
clients on core 0, server on core 1

                                          ours      tokio  ratio     quartiles   target      4 KiB  ratio
open 1,000 at 100 ms, wall            150.0 ms   170.0 ms   0.88   0.80 - 0.90 1000.0 ms   160.0 ms   0.94
opening, cpu                           88.0 us   110.0 us   0.80   0.75 - 0.85     1.00    55.0 us   1.60
failed attempt, refused, cpu           70.0 us    50.0 us   1.40   1.30 - 1.50     1.20    50.0 us   1.40  missed
wss openings, wall                     2000 /s    2500 /s   1.25   1.20 - 1.30              2500 /s   1.25
wss opening, cpu                      433.0 us   375.0 us   1.15   1.10 - 1.20             349.0 us   1.24
message, 1,000 apps, cpu               20.0 us    40.0 us   0.50   0.45 - 0.55              25.0 us   0.80
memory per app of 19,800              10.7 KiB  146.8 KiB   0.07   0.07 - 0.07             18.9 KiB   0.57
message, 19,800 apps, cpu            8300.0 ns    33.3 us   0.25   0.20 - 0.30            9800.0 ns   0.85
"""

SAMPLES = {"comparison": COMPARISON, "instructions": INSTRUCTIONS, "scale": SCALE, "web_socket_benchmark": WEB_SOCKET}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def bars(svg):
    """The widths of the bars of the chart; the squares of its legend are left out."""
    rectangles = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")
    return [float(one.get("width")) for one in rectangles if float(one.get("height")) == charts.BAR]


class Reading(unittest.TestCase):
    def test_a_line_of_the_comparison_is_a_share_of_tungstenite(self):
        chart = charts.comparison(COMPARISON.splitlines())
        group = next(group for group in chart.groups if group.label == "receive 64 B, bursts, borrowed")
        self.assertEqual([(bar.length, bar.text) for bar in group.bars], [(0.38, "23.4 ns"), (1.0, "61.0 ns")])
        self.assertEqual(len(chart.groups), len(charts.COMPARISON_ROWS))

    def test_wall_time_is_told(self):
        labels = [group.label for group in charts.comparison(COMPARISON.splitlines()).groups]
        self.assertIn("echo of 1 MiB, two cores, wall", labels)
        self.assertIn("connect", labels)

    def test_what_the_comparison_leaves_out_is_an_error(self):
        for name in charts.COMPARISON_ROWS:
            without = [line for line in COMPARISON.splitlines() if not line.startswith(f"{name} ")]
            with self.assertRaisesRegex(charts.Unreadable, re.escape(name)):
                charts.comparison(without)

    def test_the_comparison_has_what_is_drawn(self):
        bench = charts.ROOT / "tests" / "tungstenite" / "benches" / "comparison" / "main.rs"
        workloads = re.findall(r'^    (?:cpu|wall)\("([^"]+)"', bench.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertLessEqual(set(charts.COMPARISON_ROWS), set(workloads))

    def test_instructions(self):
        chart = charts.instructions(INSTRUCTIONS.splitlines())
        self.assertEqual([group.label for group in chart.groups], ["read text 64 B", "write text 64 B"])
        self.assertEqual([bar.text for bar in chart.groups[0].bars], ["200", "103", "486"])
        with self.assertRaises(charts.Unreadable):
            charts.instructions(["valgrind is not there: no instructions are counted"])

    def test_a_line_of_scale_is_a_share_of_tokio_tungstenite(self):
        groups = {group.label: group for group in charts.scale(SCALE.splitlines()).groups}
        self.assertEqual(len(groups), len(charts.SCALE_ROWS))
        drawn = [(bar.length, bar.text, bar.is_ours) for bar in groups["open a connection, CPU"].bars]
        self.assertEqual(drawn, [(0.8, "88.0 µs", True), (1.0, "110 µs", False), (0.5, "55.0 µs", False)])
        memory = [bar.text for bar in groups["memory of each of 19,800"].bars]
        self.assertEqual(memory, ["10.7 KiB", "146.8 KiB", "18.9 KiB"])

    def test_what_the_bench_of_scale_leaves_out_is_an_error(self):
        for name in charts.SCALE_ROWS:
            without = [line for line in SCALE.splitlines() if not line.startswith(f"{name} ")]
            with self.assertRaisesRegex(charts.Unreadable, re.escape(name)):
                charts.scale(without)

    def test_the_bench_of_scale_has_what_is_drawn(self):
        bench = charts.ROOT / "benches" / "scale" / "src" / "measures.rs"
        lines = re.findall(r'line\("([^"]+)"', bench.read_text(encoding="utf-8"))
        self.assertLessEqual(set(charts.SCALE_ROWS), set(lines))

    def test_web_socket_benchmark_draws_the_median(self):
        chart = charts.web_socket_benchmark(WEB_SOCKET.splitlines())
        drawn = [(group.label, group.bars[0].length, group.bars[0].is_ours) for group in chart.groups]
        self.assertEqual(
            drawn,
            [
                ("websocket-sync 0.1.0", 9.1, True),
                ("web-socket 0.7.0", 18.2, False),
                ("websocket-sync 0.1.0, gathered", 7.0, True),
            ],
        )
        self.assertTrue(chart.title.startswith("100,000 messages"))
        self.assertEqual(chart.groups[0].bars[0].text, "9.10 ms (least 8.90)")

    def test_times_have_three_digits(self):
        cases = {
            "0.5 ns": "0.50 ns",
            "23.4 ns": "23.4 ns",
            "999.4 ns": "999 ns",
            "1234.5 ns": "1.23 µs",
            "111.4 us": "111 µs",
            "9999.0 us": "10.0 ms",
            "3.6 ms": "3.60 ms",
        }
        for time, expected in cases.items():
            self.assertEqual(charts.spelled(time), expected)

    def test_a_head_says_everything(self):
        head, lines = charts.head_and_output(COMPARISON)
        self.assertEqual(head["date"], "2026-01-02")
        self.assertEqual(lines[1], "31 rounds; clients on core 0, server on core 1")
        for key in ("machine", "date", "versions", "command"):
            without = re.sub(rf"^# {key}: .*\n", "", COMPARISON, flags=re.MULTILINE)
            with self.assertRaisesRegex(charts.Unreadable, key):
                charts.head_and_output(without)

    def test_the_version_of_a_package_is_that_of_its_own_name(self):
        lock = '[[package]]\nname = "tokio-tungstenite"\nversion = "1.0.0"\n\n[[package]]\nname = "tungstenite"\nversion = "0.30.0"\n'
        self.assertEqual(charts.version_in(lock, "tungstenite"), "0.30.0")
        with self.assertRaises(charts.Unreadable):
            charts.version_in(lock, "web-socket")


class Drawing(unittest.TestCase):
    def test_each_theme_has_its_own_colours_and_the_same_texts(self):
        for name, sample in SAMPLES.items():
            drawn = charts.drawings(name, sample)
            self.assertEqual(sorted(drawn), [f"{name}-dark.svg", f"{name}-light.svg"])
            light, dark = drawn[f"{name}-light.svg"], drawn[f"{name}-dark.svg"]
            self.assertEqual(texts(light), texts(dark))
            self.assertIn(charts.THEMES["light"].text, light)
            self.assertNotIn(charts.THEMES["light"].text, dark)

    def test_machine_date_and_versions_are_in_the_picture(self):
        for name, sample in SAMPLES.items():
            said = texts(charts.drawings(name, sample)[f"{name}-light.svg"])
            self.assertIn("A processor <of some kind>, 2 cores, Linux 6.1, 2026-01-02", said)
            self.assertIn("websocket-sync 0.1.0, tungstenite 0.30.0, rustc 1.88.0", said)

    def test_bars_are_as_long_as_their_figures(self):
        widths = bars(charts.drawings("web_socket_benchmark", WEB_SOCKET)["web_socket_benchmark-light.svg"])
        for width, figure in zip(widths, (9.1, 18.2, 7.0), strict=True):
            self.assertAlmostEqual(width / max(widths), figure / 18.2, places=2)

    def test_everything_lies_within_the_picture(self):
        for name, sample in SAMPLES.items():
            picture = ElementTree.fromstring(charts.drawings(name, sample)[f"{name}-light.svg"])
            height = float(picture.get("height"))
            for element in picture.iter():
                if (y := element.get("y")) is not None:
                    self.assertLess(float(y), height)
                if element.tag.endswith("}text"):
                    # More than the letters of the usual fonts take on average.
                    width = 0.53 * float(element.get("font-size")) * len(element.text)
                    start = float(element.get("x")) - (width if element.get("text-anchor") == "end" else 0)
                    self.assertGreaterEqual(start, 0, element.text)
                    self.assertLessEqual(start + width, charts.WIDTH, element.text)

    def test_bars_of_a_group_that_differ_in_name_differ_in_colour(self):
        for name, sample in SAMPLES.items():
            _head, lines = charts.head_and_output(sample)
            for group in charts.BENCHES[name].chart(lines).groups:
                for colours in charts.THEMES.values():
                    drawn = {charts.colour_of(group, index, colours) for index in range(len(group.bars))}
                    self.assertEqual(len(drawn), len(group.bars))

    def test_no_font_and_no_picture_comes_from_elsewhere(self):
        for name, sample in SAMPLES.items():
            for svg in charts.drawings(name, sample).values():
                self.assertEqual(re.findall(r"https?://[^\"]*", svg), ["http://www.w3.org/2000/svg"])
                self.assertNotIn("@import", svg)


class Checking(unittest.TestCase):
    def setUp(self):
        directory = self.enterContext(TemporaryDirectory())
        self.root = Path(directory)
        self.enterContext(mock.patch.multiple(charts, ROOT=self.root, FIGURES=self.root))
        (self.root / "instructions.txt").write_text(INSTRUCTIONS, encoding="utf-8")

    def test_what_was_drawn_is_as_it_should_be(self):
        charts.draw()
        charts.check()

    def test_a_chart_that_is_missing_changed_or_left_over_is_found(self):
        with self.assertRaisesRegex(SystemExit, "instructions-light.svg"):
            charts.check()
        charts.draw()
        path = self.root / "instructions-dark.svg"
        path.write_text(path.read_text(encoding="utf-8").replace("200", "100"), encoding="utf-8")
        with self.assertRaisesRegex(SystemExit, "instructions-dark.svg"):
            charts.check()
        charts.draw()
        (self.root / "comparison-light.svg").write_text("<svg/>", encoding="utf-8")
        with self.assertRaisesRegex(SystemExit, "comparison-light.svg has no figures"):
            charts.check()
        (self.root / "comparison-light.svg").unlink()
        (self.root / "wsdump.svg").write_text("<svg/>", encoding="utf-8")
        charts.check()


if __name__ == "__main__":
    unittest.main()
