-- Fingerprint of what IT had said when a site was judged: once that changes, the site is judged anew.
ALTER TABLE site ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
