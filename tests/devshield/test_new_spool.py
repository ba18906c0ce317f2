"""A spool that is deleted and made anew begins its numbers, and so its keys, again; the shield keeps what comes under them."""

from pathlib import Path

from world.rig import FREEZER, FREEZER_TABLE, Rig

from agent.devshield.shield import Setup, Shield


def test_readings_of_a_spool_that_was_deleted_are_kept_though_their_keys_were_used(tmp_path: Path) -> None:
    with Rig(tmp_path, sensors=FREEZER_TABLE) as rig:
        rig.stop_shield()
        ports = {name: rig.where[name] for name in ("port", "api_port")}
        rig.shield = Shield(Setup(tmp_path / "shield", rule="strict", api="extended", **ports))
        rig.enroll()
        for celsius in (-18.0, -17.5):  # else the same reading again, where all of it takes less than a second
            rig.tree.add(FREEZER, celsius)
            for _ in range(2):
                assert rig.run("run", "--once").returncode == 0
            for file in tmp_path.glob("spool.db*"):
                file.unlink()
        posts = [row for row in rig.requests() if row["method"] == "POST"]

    keys = [row["idempotency_key"] for row in posts]
    assert (len(keys), len(set(keys))) == (4, 2)
    assert [(row["status"], row["stored"]) for row in posts] == [(201, True)] * 4
