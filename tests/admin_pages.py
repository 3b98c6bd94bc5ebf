"""The admin as a person uses it: actions with their question, accounts with a role."""

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


def hidden(text: str) -> dict[str, str]:
    """The hidden fields of a page's forms, but the token."""
    fields = {name: unescape(value) for name, value in _HIDDEN.findall(text)}
    return {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}


def ask(client: Client, url: str, action: str, *keys: object, **more: str) -> str:
    """The page after choosing an action: the question, if one is asked."""
    data = {"action": action, "_selected_action": [str(key) for key in keys]} | more
    return client.post(url, data, follow=True).content.decode()


def act(client: Client, url: str, action: str, *keys: object, **more: str) -> str:
    """The page after an action whose question was answered with yes."""
    text = ask(client, url, action, *keys, **more)
    if 'name="confirmed"' not in text:
        return text
    return client.post(url, hidden(text), follow=True).content.decode()


def member(role: str, **values: Any) -> Client:
    """A browser in which somebody with this role is logged in."""
    user = User.objects.create_user(f"a-{role}", is_staff=True, **values)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client
