from tests.cases import right, wrong


def set_user(r, name, *rules):
    r.execute_command("ACL", "SETUSER", name, *rules)


@right
def rules_as_they_are_typed(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous")


@right
def a_method_of_redis_py(r, name, password, prefix):
    r.acl_setuser(
        name,
        enabled=True,
        passwords=[f"+{password}"],
        keys=[f"{prefix}*"],
        categories=["+@read", "-@dangerous"],
        reset=True,
    )


@right
def keys_for_reading_only(r, name, password, prefix):
    rules = ["reset", "+@read", "-@dangerous", f"%R~{prefix}*", f">{password}", "on"]
    set_user(r, name, *rules)


@right
def deletes_the_old_user_first(r, name, password, prefix):
    r.acl_deluser(name)
    set_user(r, name, "on", f">{password}", f"~{prefix}*", "-@all", "+@read", "-keys", "-sort_ro")


@right
def takes_away_one_by_one(r, name, password, prefix):
    with r.pipeline() as pipe:
        pipe.execute_command("ACL SETUSER", name, "off", "resetpass", "resetkeys", "nocommands")
        pipe.execute_command("ACL SETUSER", name, "resetchannels", "clearselectors")
        pipe.execute_command("ACL SETUSER", name, "+@read", "-@dangerous", f"~{prefix}*")
        pipe.execute_command("ACL SETUSER", name, f">{password}", "on")
        pipe.execute()


@right
def the_rights_in_a_selector(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"(~{prefix}* +@read -@dangerous)")


@right
def greets_the_server(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "+@connection", "-@dangerous"]
    set_user(r, name, *rules)


@right
def channels_without_commands(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", "resetchannels", f"~{prefix}*", "+@read", "-@dangerous"]
    set_user(r, name, *rules, "&*")


@wrong(says="Begin with the rule `reset`")
def forgets_reset(r, name, password, prefix):
    set_user(r, name, "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="may still read keys other than")
def resets_the_passwords_alone(r, name, password, prefix):
    set_user(r, name, "resetpass", f">{password}", "on", f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="may still do more than read")
def leaves_the_commands(r, name, password, prefix):
    rules = ["resetpass", "resetkeys", "on", f">{password}", f"~{prefix}*", "+@read"]
    set_user(r, name, *rules, "-@dangerous")


@wrong(says="may still read keys other than")
def leaves_the_selectors(r, name, password, prefix):
    rules = ["resetpass", "resetkeys", "resetchannels", "nocommands", "on", f">{password}"]
    set_user(r, name, *rules, f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="the channels of before are still theirs")
def leaves_the_channels(r, name, password, prefix):
    rules = ["resetpass", "resetkeys", "clearselectors", "nocommands", "on", f">{password}"]
    set_user(r, name, *rules, f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="signs in with any password")
def no_password_needed(r, name, password, prefix):
    set_user(r, name, "reset", "on", "nopass", f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="A new user is off until a rule says `on`")
def forgets_on(r, name, password, prefix):
    set_user(r, name, "reset", f">{password}", f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="a password is added with `>` in front")
def the_password_as_it_is(r, name, password, prefix):
    set_user(r, name, "reset", "on", password, f"~{prefix}*", "+@read", "-@dangerous")


@wrong(says="Begin with nothing and add `+@read`")
def all_but_writing(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "+@all", "-@write")


@wrong(says="Begin with nothing and add `+@read`")
def all_but_what_is_bad(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@all", "-@write", "-@dangerous"]
    set_user(r, name, *rules)


@wrong(says="Begin with nothing and add `+@read`")
def all_but_what_is_bad_and_scripts(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@all", "-@write", "-@dangerous"]
    set_user(r, name, *rules, "-@scripting")


@wrong(says="Begin with nothing and add `+@read`")
def all_but_whatever_came_to_mind(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@all", "-@write", "-@dangerous"]
    set_user(r, name, *rules, "-@scripting", "-@pubsub", "-@transaction", "-@connection")


@wrong(says="neither publishes nor listens")
def channels_as_well(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "+@pubsub", "-@dangerous"]
    set_user(r, name, *rules)


@wrong(says="neither publishes nor listens")
def publishes_to_all_channels(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous"]
    set_user(r, name, *rules, "allchannels", "+publish")


@wrong(says="neither publishes nor listens")
def listens_to_channels_of_the_prefix(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous"]
    set_user(r, name, *rules, f"&{prefix}*", "+subscribe")


@wrong(says="runs no scripts")
def scripts_as_well(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "+@scripting", "-@dangerous"]
    set_user(r, name, *rules)


@wrong(says="runs no scripts")
def scripts_that_only_read(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous", "+eval_ro"]
    set_user(r, name, *rules)


@wrong(says="such as KEYS and SORT_RO")
def only_keys_taken_away(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "+@read", "-keys")


@wrong(says="is the only rule for keys")
def all_keys(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", "allkeys", "+@read", "-@dangerous")


@wrong(says="a key that does not begin with")
def a_star_in_front(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~*{prefix}*", "+@read", "-@dangerous")


@wrong(says="end it with a star")
def forgets_the_star(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}", "+@read", "-@dangerous")


@wrong(says="It takes two rules")
def forgets_the_keys(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", "+@read", "-@dangerous")


@wrong(says="`-@dangerous` takes all of them away")
def reading_with_what_is_dangerous(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "+@read")


@wrong(says="only behind the rules that add")
def takes_away_before_it_adds(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "-@dangerous", "+@read")


@wrong(says="which is dangerous")
def info_as_well(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "-@dangerous", "+info"]
    set_user(r, name, *rules)


@wrong(says="whoever shall only look must not write")
def writing_as_well(r, name, password, prefix):
    rules = ["reset", "on", f">{password}", f"~{prefix}*", "+@read", "+@write", "-@dangerous"]
    set_user(r, name, *rules)


@wrong(says="Keys are of many types")
def only_get(r, name, password, prefix):
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", "+get", "+ttl")


@wrong(says="Keys are of many types")
def one_command_for_each_type(r, name, password, prefix):
    commands = ["+get", "+hgetall", "+lrange", "+smembers", "+zrange", "+xrange", "+ttl"]
    set_user(r, name, "reset", "on", f">{password}", f"~{prefix}*", *commands)
