"""The events of the log by the number that the journal knows each by; systemd/sensor-agent.catalog explains them.

A number never changes, because filters rely on it: journalctl MESSAGE_ID=…. A new event gets one from `uuidgen`.
"""

from collections.abc import Mapping
from typing import Final

MESSAGE_IDS: Final[Mapping[str, str]] = {
    "started": "7c3ba2aa95c84efe8432c81d0f028eac",
    "stopped": "264d2b98ef594e27a1358ed018c55dce",
    "part failed": "1e4b3d9f04814ddf8098d25d00480084",
    "configuration reloaded": "0ccb207e3b1945b88c1c2a89d4a10bb3",
    "new configuration refused, the old one stays": "41088cfeea0b4262b08ea4db46fe83df",
    "sensor failing": "5c813ee2cd3c4ad5858e8aeb25480c97",
    "driver broke down": "caa38e2ce76347b8a477def90a7d3f62",
    "sensor reads again": "bb3ccedb3ec0451ba3821b3b3ff14ba7",
    "uplink online": "69b8467777644879960a2f0ad04e4578",
    "uplink down": "8965a851eb8343fbb699025996952f49",
    "identity changed": "47665b8c80e44697bb89704697cfc561",
    "reading set aside": "9b6fedb1e2b0497f86eeb18a9d21dce8",
    "held readings stamped": "31b6e55817974318aacf4029b9c9ea32",
    "held readings cannot be stamped yet": "d8879738350941b08cdf5d143f287cfa",
    "spool not storing, readings stay in memory": "072ed8e93c484e62a0f796587591e059",
    "spool storing again": "2d7dae87dfe640ee93a20450c7f0082f",
    "readings lost at stop": "121b8079e7484a1ebdd6868c681c74a7",
    "spool damaged: a new one takes over, and what can be read follows": "37d8cb65a5a04f0086218fc46dc956d7",
    "salvage finished": "a95ceb6132df42a5a06819f316938cf2",
    "spool file was deleted while in use, it is put back": "0def798b45814d74b7b8f7905ef29e15",
    "damaged readings set aside": "967cd72d19f944a7858190c993e07abc",
    "watermark unusable: a killed daemon may send its last tick again": "f2203605ac1e40d7bacdbea541ab5347",
    "status cannot be written": "5d193dd5570841d9b24450e001649a62",
    "enrollment waits": "894b8898f89a4450b06c3a403afa3e7f",
    "token can be read by others": "dea2d510a8484fa38962566ddc808248",
    "certificate not quite as asked": "aa40b4ff92c9486b82e3247e6b04c19e",
    "certificate before not given back": "76ecc2c4ae2d414db10cfc203d949ad8",
    "certificate ends": "fdcc1a15350646e5bdf5de9cfac5b351",
    "identity rolled back": "0b9e1e83ee7440e990e0ccb035270aa3",
    "identity damaged, the one before is used": "554261cadc534a0386f359f40a638970",
    "board or card changed, identity bound anew": "875819e8ec544681a56aee58085b3921",
    "control socket cannot be made: history and spool commands wait for a stopped daemon": "b99ebbf7a57a4a70b1cd5becdc411d6b",
    "clock was far ahead before: stamps go on by what it says now": "6651ff4670c843afb164b192c16dbe4f",
}
