"""Writes the table of a benchmark's results: python benchmarks/report.py results.json MACHINE > docs/benchmark.md"""

import json
import sys
from pathlib import Path

from run import show_bytes, show_seconds

CUSTOM = "loss written in Python"


def main():
    result = json.loads(Path(sys.argv[1]).read_text())
    versions = result["versions"]
    peaks = [row["peak"] / 1e9 for row in result["rows"] if row["peak"]]
    share = (
        f"The share of the float32 multiply-add peak is that of the peak measured in turns with the row "
        f"({min(peaks):.0f} to {max(peaks):.0f} GFLOP/s). "
        if peaks
        else ""
    )
    print("# Benchmark\n")
    print(
        f"What `make bench` gave on {sys.argv[2]}: swiftnet "
        f"{versions['swiftnet']} and PyTorch {versions['torch']}, {versions['threads']} threads each, in one process "
        f"and in turns, medians, each library in the fastest of its settings (row-major or channels last, for losses "
        f"and networks also torch.compile; evaluation beside OpenVINO as well). {share}A ratio says how many times "
        f"faster swiftnet is, for memory how many times less it needs; where it is below 1 the other is faster.\n"
    )
    print("| work | swiftnet | best peer | ratio | of peak |\n| --- | --- | --- | --- | --- |")
    for row in result["rows"]:
        if row["group"].startswith(CUSTOM) or not row["ratio"]:
            continue
        show = show_seconds if row["unit"] == "s" else show_bytes
        ours = min(v for k, v in row["values"].items() if k.startswith("swiftnet"))
        peers = {k: v for k, v in row["values"].items() if not k.startswith("swiftnet")}
        best = min(peers, key=peers.get)
        share = f"{row['share_of_peak']:.0%}" if row["share_of_peak"] else ""
        print(
            f"| {row['group']}: {row['name']} | {show(ours)} | {show(peers[best])} ({best}) | {row['ratio']:.2f} "
            f"| {share} |"
        )
    custom = [row for row in result["rows"] if row["group"].startswith(CUSTOM)]
    if not custom:
        return
    print(
        "\nA loss written in Python beside the built-in one, on predictions of 16×21×128×128, forward and backward, as "
        "a multiple of the built-in one's time:\n"
    )
    print("| loss | times |\n| --- | --- |")
    for row in custom:
        print(f"| {row['name']} | {row['values']['swiftnet'] / row['values']['built in']:.2f} |")


if __name__ == "__main__":
    main()
