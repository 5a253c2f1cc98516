"""The mail room: templates and frozen values become bytes, bytes become an outcome.

    files --Templates--> compiled templates          (compile, sandbox, formats, check)
    values --freeze--> Frozen document               (frozen, links)
    Frozen --render--> subject, html, text --> bytes (render, skeleton, mime, headers, calendar)
    Letter --Transport.send--> Outcome               (transport, maildir, smtp, replies)

Who calls: the guard's transaction freezes, the wire renders and sends. Nothing here reads a table.
"""
