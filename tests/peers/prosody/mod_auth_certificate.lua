-- SASL EXTERNAL for clients, which Prosody itself has for servers only: the user is the one whose
-- JID the client's certificate has as xmppAddr, and the certificate's chain has been verified.
local new_sasl = require "prosody.util.sasl".new;
local jid_split = require "prosody.util.jid".split;

local XMPP_ADDR, SUBJECT_ALT_NAME = "1.3.6.1.5.5.7.8.5", "2.5.29.17";

local function user_of(session)
	local sock = session.conn and session.conn:socket();
	local certificate = sock and sock.getpeercertificate and sock:getpeercertificate();
	if not certificate or not sock:getpeerverification() then return nil; end
	local names = (certificate:extensions() or {})[SUBJECT_ALT_NAME];
	for _, name in ipairs(names and names[XMPP_ADDR] or {}) do
		local user, host = jid_split(name);
		if user and host == module.host then return user; end
	end
end

local provider = {};

function provider.user_exists() return true; end
function provider.get_password() return nil, "there are no passwords"; end
function provider.test_password() return nil, "there are no passwords"; end
function provider.set_password() return nil, "there are no passwords"; end
function provider.create_user() return nil, "there are no passwords"; end

function provider.get_sasl_handler(session)
	local user = user_of(session);
	return new_sasl(module.host, {
		external = user and function (authzid)
			if authzid == "" or authzid == user .. "@" .. module.host then return user, true; end
			return nil;
		end or nil;
	});
end

module:provides("auth", provider);
