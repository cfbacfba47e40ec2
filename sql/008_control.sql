-- Step 8: a placeholder, so that steps have contiguous numbers. It is dropped at the merge.

INSERT INTO :"schema".schema_version (version) VALUES (8);
