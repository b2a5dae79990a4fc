"""RouterOS-api against the simulated router: use_routeros_api.py HOST PORT VERSION"""

import routeros_api
from checking import ACTIVE, PASSWORD, USER, USERS, arguments, check, fails
from routeros_api.exceptions import RouterOsApiCommunicationError, RouterOsApiError

host, port, version, numbers = arguments()
by_challenge = numbers < (6, 43)


def log_in(password=PASSWORD, plaintext_login=not by_challenge):
    return routeros_api.RouterOsApiPool(host, USER, password, port=port, plaintext_login=plaintext_login)


refused = "cannot log in" if by_challenge else "invalid user name or password (6)"
fails("wrong password", RouterOsApiCommunicationError, lambda: log_in("wrong").get_api(), refused)
if not by_challenge:
    by_response = log_in(plaintext_login=False)
    fails("challenge response to a router with plain login", RouterOsApiError, by_response.get_api, refused)
pool = log_in()
api = pool.get_api()

active = api.get_resource("/ip/hotspot/active")
rows = active.get()
check("active rows", len(rows), ACTIVE)
check("their uploads are numbers", all(row["bytes-in"].isdigit() for row in rows), True)
users = api.get_resource("/ip/hotspot/user")
named = users.call("print", {"proplist": "name,default"})
check("user rows", len(named), USERS)
check("default-trial", [row["name"] for row in named if row.get("default") == "true"], ["default-trial"])
(resource,) = api.get_resource("/system/resource").get()
check("resource", (resource["version"], resource["platform"]), (version, "MikroTik"))
check("count-only", users.call("print", {"count-only": ""}).done_message, {"ret": str(USERS)})
check("one user", users.call("print", {"proplist": "name"}, {"name": named[5]["name"]}), [{"name": named[5]["name"]}])
check("none", users.get(name="nobody"), [])
check("all rows of users as bytes", len(api.get_binary_resource("/ip/hotspot/user").get()), USERS)

shop = api.get_resource("/ip/shop")
fails("unknown menu", RouterOsApiCommunicationError, shop.get, "no such command prefix")

# Two concurrent commands whose replies are read in reverse order.
first, second = active.get_async(), users.get_async(name="nobody")
check("second", list(second), [])
check("first", len(list(first)), ACTIVE)

kicked = rows[0]["id"]
active.remove(id=kicked)
left = [row["id"] for row in active.get()]
check("kicked", (kicked in left, len(left)), (False, ACTIVE - 1))
fails("kicked again", RouterOsApiCommunicationError, lambda: active.remove(id=kicked), "no such item (4)")
pool.disconnect()
