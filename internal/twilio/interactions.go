package twilio

import (
	"context"

	flex "github.com/twilio/twilio-go/rest/flex/v1"
)

// InteractionChannel is the channel of a Flex interaction
// (https://www.twilio.com/docs/flex/developer/conversations/interactions-api/channels-subresource).
type InteractionChannel struct {
	SID string
	// Status is setup, active, failed, closed, inactive, pause or transfer.
	Status string
	// Type is sms, whatsapp, web and so on.
	Type string
}

func newInteractionChannel(ch *flex.FlexV1InteractionChannel) InteractionChannel {
	return InteractionChannel{SID: value(ch.Sid), Status: value(ch.Status), Type: value(ch.Type)}
}

// GetInteractionChannel reads a channel of an interaction.
func (c *Client) GetInteractionChannel(ctx context.Context, interactionSID, channelSID string) (InteractionChannel, error) {
	op := opGetInteractionChannel
	if err := checkSIDs(op, interactionArg(interactionSID), channelArg(channelSID)); err != nil {
		return InteractionChannel{}, err
	}
	x := c.begin(ctx, op)
	got, err := x.flex().FetchInteractionChannel(interactionSID, channelSID)
	if err != nil {
		return InteractionChannel{}, x.end(err)
	}
	return answer(x, newInteractionChannel(got), got.Sid, channelSID)
}

// CloseInteractionChannel closes a channel. All its tasks become completed when completeTasks is set, and wrapping
// otherwise. Twilio answers a channel that is not open any more with code 80906.
func (c *Client) CloseInteractionChannel(ctx context.Context, interactionSID, channelSID string, completeTasks bool) error {
	op := opCloseInteractionChannel
	if err := checkSIDs(op, interactionArg(interactionSID), channelArg(channelSID)); err != nil {
		return err
	}
	params := &flex.UpdateInteractionChannelParams{}
	params.SetStatus("closed")
	if completeTasks {
		params.SetRouting(map[string]string{"status": "closed"})
	}
	x := c.begin(ctx, op)
	got, err := x.flex().UpdateInteractionChannel(interactionSID, channelSID, params)
	if err != nil {
		return x.end(err)
	}
	_, err = answer(x, newInteractionChannel(got), got.Sid, channelSID)
	return err
}
