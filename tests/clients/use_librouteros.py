"""librouteros against the simulated router: use_librouteros.py HOST PORT VERSION"""

from checking import ACTIVE, PASSWORD, USER, USERS, arguments, check, fails
from librouteros import connect
from librouteros.exceptions import FatalError, MultiTrapError, TrapError
from librouteros.login import plain, token
from librouteros.query import Key, Or

host, port, version, numbers = arguments()
by_challenge = numbers < (6, 43)


def log_in(password=PASSWORD, login_method=token if by_challenge else plain):
    return connect(host, USER, password, port=port, encoding="utf-8", login_method=login_method)


refused = "cannot log in" if by_challenge else "invalid user name or password (6)"
fails("wrong password", TrapError, lambda: log_in("wrong"), refused)
if not by_challenge:
    fails("challenge response to a router with plain login", TrapError, lambda: log_in(login_method=token), refused)
api = log_in()

active = list(api.path("ip", "hotspot", "active"))
check("active rows", len(active), ACTIVE)
check("their uploads are numbers", {type(row["bytes-in"]) for row in active}, {int})
users = list(api.path("ip", "hotspot", "user"))
check("user rows", len(users), USERS)
check("default-trial", [row["name"] for row in users if row.get("default")], ["default-trial"])
(resource,) = api.path("system", "resource")
check("resource", (resource["version"], resource["platform"]), (version, "MikroTik"))
check("count-only", list(api.rawCmd("/ip/hotspot/user/print", "=count-only=")), [{"ret": USERS}])

name, disabled, identity = Key("name"), Key("disabled"), Key(".id")
one = api.path("ip", "hotspot", "user").select(name).where(name == users[5]["name"])
check("one user", list(one), [{"name": users[5]["name"]}])
two = api.path("ip", "hotspot", "user").select(identity).where(Or(identity == "*2", identity == "*3"))
check("either of two", list(two), [{".id": "*2"}, {".id": "*3"}])
enabled = api.path("ip", "hotspot", "user").select(name).where(disabled == False)  # noqa: E712
check("enabled ones", len(list(enabled)), len([row for row in users if row["disabled"] is False]))
check("none", list(api.path("ip", "hotspot", "user").select(name).where(name == "nobody")), [])

shop = api.path("ip", "shop")
fails("unknown menu", MultiTrapError if numbers >= (7,) else TrapError, lambda: list(shop), "no such command prefix")

added = api.path("ip", "hotspot", "user").add(name="new", password="x")
api.path("ip", "hotspot", "user").update(**{".id": added, "comment": "a=b", "disabled": True})
(row,) = api.path("ip", "hotspot", "user").select().where(identity == added)
check("added and set", (row["name"], row["comment"], row["disabled"]), ("new", "a=b", True))
api.path("ip", "hotspot", "user").remove(added)

# librouteros has no API for tags and listen, so this sends sentences.
listener = log_in()
listener.protocol.writeSentence("/ip/hotspot/active/listen", "=.proplist=.id", ".tag=7")
listener.protocol.writeSentence("/system/identity/print", ".tag=8")
check("listen does not replay", listener.protocol.readSentence()[1][0], ".tag=8")
check("the other command ends", listener.protocol.readSentence(), ("!done", (".tag=8",)))

kicked = active[0][".id"]
api.path("ip", "hotspot", "active").remove(kicked)
check("listen reports the kick", listener.protocol.readSentence(), ("!re", (".tag=7", f"=.id={kicked}", "=.dead=true")))
left = [row[".id"] for row in api.path("ip", "hotspot", "active")]
check("kicked", (kicked in left, len(left)), (False, ACTIVE - 1))
again = api.path("ip", "hotspot", "active")
fails("kicked again", TrapError, lambda: again.remove(kicked), "no such item (4)")

listener.protocol.writeSentence("/cancel", "=tag=7", ".tag=9")
end = [listener.protocol.readSentence() for _ in range(3)]
interrupted = ("!trap", (".tag=7", "=category=2", "=message=interrupted"))
check("cancelled", end, [interrupted, ("!done", (".tag=9",)), ("!done", (".tag=7",))])
fails("quit", FatalError, lambda: list(listener("/quit")), "session terminated on request")
api.close()
