-- What a person can do about a failure, where the remedy of its class does not help. Three classes are new: starting-up,
-- no-sftp-server and collector-failed.
ALTER TABLE pass ADD COLUMN remedy TEXT;
-- When the device's server was last found to end the whole connection because a command was asked for beside SFTP.
ALTER TABLE device ADD COLUMN hung_up_on_command INTEGER;
