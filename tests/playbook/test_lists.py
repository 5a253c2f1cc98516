"""Lists in a measure's mails: checks of mails and samples, and the hash of what a list reads."""

import json

from nurture.playbook import build, inspect
from tests.playbook.builder import a_mail, a_playbook, a_text, changed

CART = "lead/convert/cart"
BOUND = "objects: {product: {kind: product, key: entity.product_id}}"
LOOP = "{% for item in goods %}{{ item.name }}{% endfor %}"


def with_list(rule: str, *, body: str = "", sample: object = None) -> dict[str, str]:
    """Return the small playbook, whose cart lists goods."""
    listed = f"{BOUND[:-1]}, goods: {{kind: product, {rule}}}}}"
    files = changed(f"{CART}/measure.yaml", BOUND, listed, a_playbook())
    for locale in ("en", "zh-CN"):
        files[f"{CART}/left.{locale}.mjml"] = a_mail(locale, body=body)
        files[f"{CART}/left.{locale}.txt"] = a_text(locale, body=body)
    objects = {"product": {"stock": 4}} | ({} if sample is None else {"goods": sample})
    files[f"{CART}/sample.json"] = json.dumps(
        {"entity": {"cart_id": "c", "product_id": "p"}, "objects": objects}
    )
    return files


def faults(files: dict[str, str], *, render: bool = False) -> list[str]:
    found = inspect(files, render=render)
    # Other warnings, such as of values of the sample that nothing reads, are not the subject here.
    warnings = [str(warning) for warning in found.warnings if "condition reads `goods`" in str(warning)]
    return [*map(str, found.sorted()), *warnings]


def test_a_list_that_nothing_reads_is_worth_a_warning() -> None:
    (warning,) = faults(with_list("top: 2, at_least: 0"))
    assert warning.startswith(f"{CART}/measure.yaml:9: warning: no mail, link or condition reads `goods`")
    assert faults(with_list("top: 2, at_least: 0", body=LOOP)) == []
    asked = with_list("top: 2, at_least: 0")
    asked = changed(f"{CART}/measure.yaml", "product.stock >= 1", "goods.count >= 1", asked)
    assert faults(asked) == []


def test_the_sample_of_a_list_is_a_list() -> None:
    (fault,) = faults(with_list("top: 2, at_least: 0", body=LOOP, sample={"name": "Tin"}))
    change = 'write {"objects": {"goods": [{...}, {...}]}}'
    assert fault == f"{CART}/sample.json:1: `goods` is a list of objects: {change}"


def test_a_mail_that_reads_a_list_which_is_not_declared_is_refused() -> None:
    files = with_list("top: 2, at_least: 0", body=LOOP.replace("goods", "gods"), sample=[{"name": "Tin"}])
    assert any("gods" in fault and "left.en.mjml" in fault for fault in faults(files, render=True))


def test_the_names_that_a_list_reads_belong_to_the_rules() -> None:
    def rules_hash(rule: str, types: str = "stock: integer") -> str:
        files = with_list(rule, body=LOOP, sample=[{"name": "Tin"}])
        files = changed("playbook.yaml", "stock: integer", types, files)
        return build(files).playbook.measures[CART].rules_hash

    rule = "where: stock >= contact.orders, top: 2, at_least: 0"
    assert rules_hash(rule) == rules_hash(rule)
    assert (
        len({rules_hash(rule), rules_hash(rule.replace("2", "3")), rules_hash(rule, "stock: decimal")}) == 3
    )
