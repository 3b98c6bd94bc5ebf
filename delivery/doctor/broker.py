"""Judges the broker: does it answer, and would it keep its messages over a restart or when it is full."""

from django.conf import settings

from delivery.broker import BrokerFacts
from delivery.doctor.finding import Finding, clock, error, ok, warning

MEMORY_FULL_SHARE = 0.9


def away(reason: str) -> Finding:
    return error(
        "broker.answers",
        f"the broker does not answer: {reason}",
        "Start it, or correct BROKER_URL. Nothing is lost meanwhile: wake-ups are made again from the rows.",
    )


def judge(facts: BrokerFacts) -> list[Finding]:
    """What its facts mean; all of them from one moment."""
    limit = settings.CLOCK_DIFFERENCE_MAX_SECONDS
    return [
        ok("broker.answers", "the broker answers"),
        _commands(facts),
        _appendonly(facts),
        _eviction(facts),
        _writes(facts),
        _memory(facts),
        clock("broker.clock", "the broker's clock", "this host's", facts.clock_ahead_seconds, limit),
    ]


def _commands(facts: BrokerFacts) -> Finding:
    if facts.refuses_to_hand_out:
        return error(
            "broker.commands",
            f"it refuses BLMPOP, by which workers take messages: {facts.refuses_to_hand_out}",
            "Use Valkey, or Redis 7 or newer. If it is one, permit the command to the user of BROKER_URL.",
        )
    return ok("broker.commands", "it hands out messages in batches (BLMPOP)")


def _appendonly(facts: BrokerFacts) -> Finding:
    configuration = facts.configuration or {}
    # INFO says it too, and managed servers that refuse CONFIG permit INFO.
    enabled = (facts.persistence or {}).get("aof_enabled")
    if configuration.get("appendonly") == "yes" or enabled == 1:
        return ok("broker.appendonly", "the append-only file is on")
    if "appendonly" not in configuration and enabled is None:
        return warning(
            "broker.appendonly",
            "whether the append-only file is on could not be read",
            "Make sure of it in your provider's console: appendonly yes.",
        )
    return warning(
        "broker.appendonly",
        "the append-only file is off: a restart loses all wake-ups, and making them again takes time",
        "Set `appendonly yes` in its configuration, or `CONFIG SET appendonly yes`.",
    )


def _eviction(facts: BrokerFacts) -> Finding:
    policy = (facts.configuration or {}).get("maxmemory-policy") or (facts.memory or {}).get(
        "maxmemory_policy"
    )
    if policy == "noeviction":
        return ok("broker.eviction", "nothing is evicted (noeviction)")
    if policy is None:
        return warning(
            "broker.eviction",
            "the eviction policy could not be read",
            "Make sure of it in your provider's console: maxmemory-policy noeviction.",
        )
    return warning(
        "broker.eviction",
        f"the eviction policy is {policy}: a full server may drop whole queues",
        "Set `maxmemory-policy noeviction` in its configuration.",
    )


def _writes(facts: BrokerFacts) -> Finding:
    persistence = facts.persistence
    if persistence is None:
        return warning(
            "broker.writes",
            "whether its data reaches the disk could not be read",
            "Permit INFO, or watch it there.",
        )
    names = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
    failed = [name for name in names if persistence.get(name, "ok") != "ok"]
    if failed:
        return error(
            "broker.writes",
            f"its last write to disk failed ({', '.join(failed)})",
            "Look at its log and free disk space: it refuses new messages until a write succeeds.",
        )
    return ok("broker.writes", "its data reaches the disk")


def _memory(facts: BrokerFacts) -> Finding:
    memory = facts.memory
    if memory is None:
        return warning("broker.memory", "its memory could not be read", "Permit INFO, or watch it there.")
    used, most = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    megabytes = f"{used / 1e6:,.0f} MB used"
    if most and used > MEMORY_FULL_SHARE * most:
        return warning(
            "broker.memory",
            f"{megabytes} of maxmemory {most / 1e6:,.0f} MB: full, it refuses messages",
            "Raise maxmemory, or add workers if the queues are long.",
        )
    return ok("broker.memory", f"{megabytes} of {f'{most / 1e6:,.0f} MB' if most else 'what the host has'}")
