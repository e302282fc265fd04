CREATE INDEX audit_actor ON audit (actor, action, at);                              -- what caps are counted from
CREATE INDEX alert_resolved ON alert (updated_at) WHERE state = 'resolved';          -- those that are kept no longer
